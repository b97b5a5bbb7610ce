/**
 * Reads ggml's public headers and writes a table of function pointers for them, so that the addon needs no
 * ggml library at link time and takes the very one that node-llama-cpp has loaded.
 *
 * usage: node make-ggml-table.mjs <ggml folder> <output folder>
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const headers = ['ggml.h', 'ggml-alloc.h', 'ggml-backend.h', 'gguf.h'];

/** Names of the functions that a header declares, without the deprecated ones. */
export function functionNames(source) {
  const code = source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '')
    .replace(/^\s*#.*(\\\n.*)*$/gm, '');
  const names = [];
  for (const match of code.matchAll(/(GGML_DEPRECATED\(\s*)?GGML_API\s+[^;(]*?\b(\w+)\s*\(/g)) {
    if (match[1] === undefined && !names.includes(match[2])) names.push(match[2]);
  }
  return names;
}

function headersVersion(ggmlFolder) {
  const lists = readFileSync(join(ggmlFolder, 'CMakeLists.txt'), 'utf8');
  const part = (name) => lists.match(new RegExp(`set\\(GGML_VERSION_${name} (\\d+)\\)`))?.[1];
  const version = [part('MAJOR'), part('MINOR'), part('PATCH')];
  if (version.includes(undefined)) throw new Error(`no version in ${ggmlFolder}/CMakeLists.txt`);
  return version.join('.');
}

function tableHeader(names) {
  return `// Made by native/tools/make-ggml-table.mjs.
#pragma once
#include "ggml.h"
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "gguf.h"

namespace lutra::graph {
struct GgmlTable {
${names.map((name) => `  decltype(&::${name}) ${name} = nullptr;`).join('\n')}
};
extern GgmlTable ggml_table;
extern const char* const ggml_headers_version;

/// Looks every function up with \`symbol(name)\`; returns the name of the first one that is missing, or null.
const char* fill_ggml_table(void* (*symbol)(const char* name, void* context), void* context);
}  // namespace lutra::graph

// Function-like on purpose: some functions share their name with a struct or an enum.
${names.map((name) => `#define ${name}(...) (::lutra::graph::ggml_table.${name})(__VA_ARGS__)`).join('\n')}
`;
}

function tableSource(names, version) {
  return `// Made by native/tools/make-ggml-table.mjs.
#include "ggml_table.h"

namespace lutra::graph {
GgmlTable ggml_table;
const char* const ggml_headers_version = "${version}";

namespace {
template <typename Function>
bool find(Function& slot, const char* name, void* (*symbol)(const char*, void*), void* context) {
  slot = reinterpret_cast<Function>(symbol(name, context));
  return slot != nullptr;
}
}  // namespace

const char* fill_ggml_table(void* (*symbol)(const char* name, void* context), void* context) {
${names.map((name) => `  if (!find(ggml_table.${name}, "${name}", symbol, context)) return "${name}";`).join('\n')}
  return nullptr;
}
}  // namespace lutra::graph
`;
}

const [ggmlFolder, outputFolder] = process.argv.slice(2);
if (ggmlFolder === undefined || outputFolder === undefined) {
  console.error('usage: node make-ggml-table.mjs <ggml folder> <output folder>');
  process.exit(2);
}
const names = headers.flatMap((name) => functionNames(readFileSync(join(ggmlFolder, 'include', name), 'utf8')));
mkdirSync(outputFolder, { recursive: true });
writeFileSync(join(outputFolder, 'ggml_table.h'), tableHeader(names));
writeFileSync(join(outputFolder, 'ggml_table.cpp'), tableSource(names, headersVersion(ggmlFolder)));
