/* Diopter: fine-tunes pretrained image classifiers on the CPU.
 *
 *     diopter_context *ctx;
 *     diopter_options *options;
 *     diopter_context_create(NULL, &ctx);
 *     diopter_options_create(ctx, &options);
 *     diopter_options_set(options, "epochs", "20");
 *     if (diopter_train(ctx, "efficientnet-lite0.pth", "xrays/", "run1", options, NULL) != DIOPTER_OK)
 *         fputs(diopter_error_text(ctx), stderr);
 *     diopter_options_destroy(options);
 *     diopter_context_destroy(ctx);
 *
 * Handles are opaque; every handle belongs to the context it was made with and is destroyed before it.  A context and its
 * handles may be used from any thread, one at a time; two contexts do not meet.  The library prints nothing, installs no
 * signal handlers, and never ends the process. */
#ifndef DIOPTER_DIOPTER_H
#define DIOPTER_DIOPTER_H

#include <diopter/context.h>
#include <diopter/evaluate.h>
#include <diopter/model.h>
#include <diopter/options.h>
#include <diopter/predict.h>
#include <diopter/system.h>
#include <diopter/train.h>

#endif
