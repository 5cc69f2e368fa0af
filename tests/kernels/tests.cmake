# One program for all slots; ctest runs it level by level (77: the machine lacks the level, or it fills nothing).
file(GLOB check_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/check_*.c)
add_executable(check_kernels ${check_sources} ${CMAKE_CURRENT_SOURCE_DIR}/kernels/bench.c ${CMAKE_CURRENT_SOURCE_DIR}/kernels/fenced.c
  ${CMAKE_CURRENT_SOURCE_DIR}/kernels/emulated_tiles.c)
target_link_libraries(check_kernels PRIVATE diopter_static)
foreach(level portable avx2 avx512 vnni bf16 amx)
  add_test(NAME kernels/check_${level} COMMAND check_kernels --level ${level})
  set_tests_properties(kernels/check_${level} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
# Not a test: rates of a network's convolutions.
add_executable(bench_conv ${CMAKE_CURRENT_SOURCE_DIR}/kernels/bench_conv.c ${CMAKE_CURRENT_SOURCE_DIR}/kernels/bench_nets.c)
target_link_libraries(bench_conv PRIVATE diopter_static)
add_executable(bench_linear ${CMAKE_CURRENT_SOURCE_DIR}/kernels/bench_linear.c)
target_link_libraries(bench_linear PRIVATE diopter_static)
