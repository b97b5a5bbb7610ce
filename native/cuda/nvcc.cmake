# CUDA by nvcc through custom commands: where nvcc is missing or too old, everything else still configures and builds.
#   LUTRA_NVCC                the compiler; empty: no CUDA
#   LUTRA_CUDA_ARCHITECTURES  compute capabilities, e.g. "80;86;89;90a"; the oldest comes as PTX, too
#   LUTRA_NVCC_FLAGS          more of them
find_program(LUTRA_NVCC nvcc PATHS /usr/local/cuda/bin DOC "CUDA's compiler; without it there is no CUDA device")

if(LUTRA_NVCC AND NOT DEFINED LUTRA_CUDA_ARCHITECTURES)
  # The device's own; without a device, what every newer one can translate.
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE capability ERROR_QUIET RESULT_VARIABLE failed)
  set(LUTRA_CUDA_ARCHITECTURES 80)
  if(NOT failed AND capability MATCHES "^([0-9]+)\\.([0-9]+)")
    set(LUTRA_CUDA_ARCHITECTURES "${CMAKE_MATCH_1}${CMAKE_MATCH_2}")
    if(LUTRA_CUDA_ARCHITECTURES STREQUAL 90)
      set(LUTRA_CUDA_ARCHITECTURES 90a)
    elseif(LUTRA_CUDA_ARCHITECTURES GREATER 90)
      set(LUTRA_CUDA_ARCHITECTURES 80)
    endif()
  endif()
endif()

# Objects of CUDA sources in `target`; each leaves what ptxas says of its kernels beside it, as <object>.log.
function(lutra_nvcc_objects target)
  set(flags -std=c++20 -O3 -Werror all-warnings --resource-usage -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra
    -I${CMAKE_CURRENT_FUNCTION_LIST_DIR} -I${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../src ${LUTRA_NVCC_FLAGS})
  set(oldest "")
  foreach(architecture ${LUTRA_CUDA_ARCHITECTURES})
    list(APPEND flags -gencode arch=compute_${architecture},code=sm_${architecture})
    if(architecture STREQUAL 90a)
      list(APPEND flags -DLUTRA_CUDA_SM90A)
    elseif(NOT oldest)
      set(oldest ${architecture})
    endif()
  endforeach()
  if(oldest)
    list(APPEND flags -gencode arch=compute_${oldest},code=compute_${oldest})
  endif()
  set(objects "")
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
    list(JOIN flags " " line)
    add_custom_command(OUTPUT ${object}
      COMMAND sh -c "${LUTRA_NVCC} ${line} -MD -MF ${object}.d -c ${source} -o ${object} > ${object}.log 2>&1 || { cat ${object}.log; exit 1; }"
      DEPENDS ${source} DEPFILE ${object}.d VERBATIM COMMENT "nvcc ${name}")
    list(APPEND objects ${object})
  endforeach()
  set(${target} ${objects} PARENT_SCOPE)
endfunction()

# A shared library or program of such objects and static libraries. CUDA's runtime is inside; nothing else of CUDA's is
# needed to load it but the driver.
function(lutra_nvcc_link name output kind)
  set(libraries "")
  set(inputs "")
  foreach(input ${ARGN})
    if(TARGET ${input})
      list(APPEND libraries $<TARGET_FILE:${input}>)
    else()
      list(APPEND inputs ${input})
    endif()
  endforeach()
  set(shared "")
  if(kind STREQUAL SHARED)
    set(shared -shared)
  endif()
  add_custom_command(OUTPUT ${output}
    COMMAND ${LUTRA_NVCC} ${shared} -cudart static -o ${output} ${inputs} ${libraries} -lpthread -ldl
    DEPENDS ${inputs} ${libraries} VERBATIM COMMENT "nvcc ${name}")
  add_custom_target(${name} DEPENDS ${output})
endfunction()
