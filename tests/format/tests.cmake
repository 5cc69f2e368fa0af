# The robustness vectors and the comparisons with other readers run this program.
add_executable(check_weights ${CMAKE_CURRENT_LIST_DIR}/check_weights.c)
target_link_libraries(check_weights PRIVATE diopter_static)

# Real weights against safetensors and torch.load, where there is a Python that has them (DIOPTER_PYTHON, else python3).
find_program(DIOPTER_PYTHON NAMES python3 DOC "A Python with torch and safetensors, for comparisons")
if(DIOPTER_PYTHON)
  set(shared "$ENV{DIOPTER_SHARED}")
  if(NOT shared)
    set(shared "${PROJECT_SOURCE_DIR}/../shared")
  endif()
  add_test(NAME format/compare_readers COMMAND ${DIOPTER_PYTHON} -W ignore ${CMAKE_CURRENT_LIST_DIR}/compare_readers.py
    $<TARGET_FILE:check_weights> ${CMAKE_CURRENT_LIST_DIR}/golden ${shared}/models/pth ${shared}/models/safetensors)
  set_tests_properties(format/compare_readers PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
endif()

# Exported models opened in torchvision and timm.
add_executable(model_convert ${CMAKE_CURRENT_LIST_DIR}/model_convert.c)
target_link_libraries(model_convert PRIVATE diopter_static)
if(DIOPTER_PYTHON)
  add_test(NAME format/check_exports COMMAND ${DIOPTER_PYTHON} -W ignore ${CMAKE_CURRENT_LIST_DIR}/check_exports.py
    ${PROJECT_BINARY_DIR} ${shared})
  set_tests_properties(format/check_exports PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
endif()
