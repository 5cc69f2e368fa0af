#include "data/dataset_private.h"

#define DIO_ENTRY(name) extern const struct dio_layout dio_layout_##name;
#include "data/list.def"
#undef DIO_ENTRY

#define DIO_ENTRY(name) &dio_layout_##name,
const struct dio_layout *const dio_layouts[] = {
#include "data/list.def"
};
#undef DIO_ENTRY
const size_t dio_n_layouts = sizeof dio_layouts / sizeof *dio_layouts;
