# What ptxas says of kernels (nvcc --resource-usage) as rows of a markdown table. Names go through c++filt first.
/Compiling entry function/ {
  split($0, quoted, "'")
  kernel = quoted[2]
  sub(/^void /, "", kernel)
  gsub(/lutra::cuda::(product::)?/, "", kernel)
  gsub(/\(unsigned char\)|\(Scalar\)|\(Tables\)/, "", kernel)
  sub(/\(.*/, "", kernel)
  architecture = quoted[4]
}
/bytes stack frame/ { spilled = $5 + $9 }
/Used [0-9]+ registers/ {
  match($0, /Used [0-9]+/)
  registers = substr($0, RSTART + 5, RLENGTH - 5)
  printf "| `%s` | %s | %s | %s |\n", kernel, architecture, registers, spilled
}
