message(STATUS "Diopter ${PROJECT_VERSION}: ${CMAKE_BUILD_TYPE}, ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}, x86 kernels ${DIOPTER_X86}, "
  "sanitizers ${DIOPTER_SANITIZE}, fuzz targets ${DIOPTER_FUZZ}, libjpeg-turbo ${JPEG_VERSION}, libpng ${PNG_VERSION_STRING}, "
  "libyaml ${YAML_VERSION}, libarchive ${LibArchive_VERSION}, nettle ${NETTLE_VERSION}")
