#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace lutra::core {

/// Unpacks raw deflate (RFC 1951) into exactly `size` bytes. Nothing where the data is damaged, or unpacks to less or
/// more.
std::optional<std::vector<std::byte>> inflate(std::span<const std::byte> source, std::size_t size);

/// CRC-32 as zip and PNG use it.
[[nodiscard]] std::uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace lutra::core
