/* Runs of a test program over the pictures of one folder. */
#ifndef DIO_TESTS_TRAIN_RUNS_IN_FOLDER_H
#define DIO_TESTS_TRAIN_RUNS_IN_FOLDER_H

#include "train/run_support.h"

/* Where the pictures (FOLDER/data) and the runs of a test program lie. */
static struct test_folder folder;

/* Settings for a run into FOLDER/name; the text lives until the next call but one. */
static inline const char *with(const char *name, const char *more)
{
    static char texts[2][2048];
    static int next;
    char *text = texts[next++ % 2];
    snprintf(text, sizeof texts[0], "model=arch:resnet20_cifar image_size=16 data=%.200s/data output=%.200s/%s %s", folder.path,
             folder.path, name, more);
    return text;
}

/* To go on with it. */
static inline const char *on(const char *name, const char *more)
{
    static char text[2048];
    snprintf(text, sizeof text, "output=%.200s/%s %s", folder.path, name, more);
    return text;
}

#define HEAD "epochs=6 batch_size=8 freeze=backbone lr=0.01"

static inline void assert_refusal(struct ran ran, dio_status status, const char *words)
{
    if (ran.status != status || !strstr(ran.error, words)) {
        fail_msg("status %d \"%s\", expected %d \"%s\"", (int)ran.status, ran.error, (int)status, words);
    }
}

#endif
