# test_faults lets system calls fail.
target_link_options(base_test_faults PRIVATE -Wl,--wrap=write,--wrap=fsync,--wrap=close,--wrap=rename,--wrap=open)
