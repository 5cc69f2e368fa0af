# Tests of the program as people use it.
add_test(NAME cli/headers COMMAND ${PROJECT_SOURCE_DIR}/tests/cli/test_headers.sh ${PROJECT_SOURCE_DIR})
if(PYTHON3)
  foreach(name usage options outputs predict memory scripts train main_job readme robustness install)
    if(EXISTS ${PROJECT_SOURCE_DIR}/tests/cli/test_${name}.py)
      add_test(NAME cli/${name} COMMAND ${PYTHON3} ${PROJECT_SOURCE_DIR}/tests/cli/test_${name}.py)
      set_tests_properties(cli/${name} PROPERTIES TIMEOUT 1200 SKIP_RETURN_CODE 77
        ENVIRONMENT "DIOPTER_BINARY=${PROJECT_BINARY_DIR}/diopter;DIOPTER_SOURCE=${PROJECT_SOURCE_DIR};DIOPTER_BUILD=${PROJECT_BINARY_DIR};DIOPTER_SANITIZED=${DIOPTER_SANITIZE}")
      if(name MATCHES "main_job|readme")
        set_tests_properties(cli/${name} PROPERTIES LABELS slow)
      endif()
    endif()
  endforeach()
endif()
