/* The machine, and how fast this program is on it. */
#ifndef DIOPTER_SYSTEM_H
#define DIOPTER_SYSTEM_H

#include <diopter/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CPU features in use, kernels chosen, BLAS and its core type, threads, memory; text for people, or JSON.
 * The caller owns the string (diopter_free); NULL: out of memory. */
DIOPTER_API char *diopter_system_text(diopter_context *context, bool json);

/* This machine's ceilings (FMA peak, memory bandwidth), and with a model (else NULL) each layer's share of them; under
 * the option train_step the time of a full training step, too.  A backbone gets a head of 1000 classes; weights stay.
 * Options: those with DIOPTER_FOR_BENCH; NULL: the defaults.  *text as above. */
DIOPTER_API diopter_status diopter_bench(diopter_context *context, diopter_model *model, const diopter_options *options,
                                         bool json, char **text);

#ifdef __cplusplus
}
#endif
#endif
