add_executable(check_ops ${CMAKE_CURRENT_SOURCE_DIR}/ops/check_ops.c ${CMAKE_CURRENT_SOURCE_DIR}/ops/harness.c
  ${CMAKE_CURRENT_SOURCE_DIR}/ops/golden_file.c)
target_include_directories(check_ops PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(check_ops PRIVATE diopter_static)
add_test(NAME ops/check_ops COMMAND check_ops)
set_tests_properties(ops/check_ops PROPERTIES TIMEOUT 300 ENVIRONMENT "DIOPTER_TESTS=${CMAKE_CURRENT_SOURCE_DIR}")

add_executable(check_golden ${CMAKE_CURRENT_SOURCE_DIR}/ops/check_golden.c ${CMAKE_CURRENT_SOURCE_DIR}/ops/harness.c)
target_include_directories(check_golden PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(check_golden PRIVATE diopter_static PkgConfig::CMOCKA)
add_test(NAME ops/check_golden COMMAND check_golden)
set_tests_properties(ops/check_golden PROPERTIES TIMEOUT 60 ENVIRONMENT "DIOPTER_TESTS=${CMAKE_CURRENT_SOURCE_DIR}")

add_executable(check_ops_bf16 ${CMAKE_CURRENT_SOURCE_DIR}/ops/check_ops_bf16.c ${CMAKE_CURRENT_SOURCE_DIR}/ops/harness.c)
target_include_directories(check_ops_bf16 PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(check_ops_bf16 PRIVATE diopter_static)
add_test(NAME ops/check_ops_bf16 COMMAND check_ops_bf16)
set_tests_properties(ops/check_ops_bf16 PROPERTIES TIMEOUT 300)
