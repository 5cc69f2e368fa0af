/* OpenBLAS, loaded when it is asked for.
 *
 * Its own choice of kernels goes by a list of processors that ends before the newest ones (0.3.21 takes a Zen 4 or 5 for a
 * Haswell and leaves half of it unused), so the core type is chosen here by instruction set, through the environment that it
 * reads while it is loaded.  It is called one-threaded on blocks of our own: its bits change with its thread count. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/kernels.h"

static const char library_name[] = "libopenblas.so.0";

enum { ROW_MAJOR = 101, AS_IT_IS = 111, TRANSPOSED = 112 }; /* CBLAS's numbers */

typedef void cblas_sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
                            const float *b, int ldb, float beta, float *c, int ldc);
typedef char *text_fn(void);
typedef void set_threads_fn(int threads);

static void sgemm(const void *handle, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                  const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    cblas_sgemm_fn *fn;
    memcpy(&fn, &handle, sizeof fn);
    fn(ROW_MAJOR, transpose_a ? TRANSPOSED : AS_IT_IS, transpose_b ? TRANSPOSED : AS_IT_IS, (int)m, (int)n, (int)k, 1.0f, a, (int)lda, b,
       (int)ldb, beta, c, (int)ldc);
}

static const char *core_type(enum dio_isa level)
{
#ifdef DIOPTER_X86
    return level >= DIO_ISA_avx512 ? "SkylakeX" : level >= DIO_ISA_avx2 ? "Haswell" : "Prescott";
#else
    (void)level;
    return NULL;
#endif
}

/* An environment variable set for a while. */
struct variable {
    const char *name;
    char *before;
    bool set;
};

static dio_status variable_set(struct dio_ctx *ctx, struct variable *variable, const char *name, const char *value, bool overwrite)
{
    *variable = (struct variable){.name = name};
    const char *before = getenv(name);
    if (!value || (before && !overwrite)) return DIO_OK;
    if (before && !(variable->before = dio_strdup(ctx, before))) return DIO_ERR_ENV;
    variable->set = setenv(name, value, 1) == 0;
    return DIO_OK;
}

static void variable_restore(struct dio_ctx *ctx, struct variable *variable)
{
    if (variable->set && variable->before) {
        setenv(variable->name, variable->before, 1);
    } else if (variable->set) {
        unsetenv(variable->name);
    }
    dio_free(ctx, variable->before);
}

static dio_status load(struct dio_ctx *ctx, struct dio_blas *blas, enum dio_isa level)
{
    blas->library = dlopen(library_name, RTLD_NOW | RTLD_NOLOAD);
    if (blas->library) {
        snprintf(blas->note, sizeof blas->note, "already in the process: taken as it is");
        return DIO_OK;
    }
    struct variable core, threads = {0};
    dio_status status = variable_set(ctx, &core, "OPENBLAS_CORETYPE", core_type(level), false);
    if (status == DIO_OK) status = variable_set(ctx, &threads, "OPENBLAS_NUM_THREADS", "1", true);
    if (status == DIO_OK) {
        blas->library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
        snprintf(blas->note, sizeof blas->note, "%s", core.set ? "core type chosen by us" : "core type left to the environment");
    }
    variable_restore(ctx, &core);
    if (threads.name) variable_restore(ctx, &threads);
    return status;
}

/* "OpenBLAS 0.3.21 NO_LAPACKE ...": the first two words. */
static void copy_name(char *out, size_t out_size, const char *config)
{
    size_t length = strcspn(config, " ");
    if (config[length]) length += 1 + strcspn(config + length + 1, " ");
    snprintf(out, out_size, "%.*s", (int)length, config);
}

static void bind(struct dio_blas *blas)
{
    void *multiply = dlsym(blas->library, "cblas_sgemm"), *config = dlsym(blas->library, "openblas_get_config");
    void *core = dlsym(blas->library, "openblas_get_corename"), *set_threads = dlsym(blas->library, "openblas_set_num_threads");
    if (!multiply || !config || !core || !set_threads) {
        snprintf(blas->note, sizeof blas->note, "%s lacks functions that OpenBLAS has", library_name);
        dlclose(blas->library);
        blas->library = NULL;
        return;
    }
    text_fn *text;
    memcpy(&text, &config, sizeof text);
    copy_name(blas->name, sizeof blas->name, text());
    memcpy(&text, &core, sizeof text);
    snprintf(blas->core, sizeof blas->core, "%s", text());
    blas->handle = multiply;
    blas->sgemm = sgemm;
}

dio_status dio_kernels_linear(struct dio_ctx *ctx, struct dio_kernels *kernels, enum dio_linear linear)
{
    kernels->linear = DIO_LINEAR_OWN;
    if (linear != DIO_LINEAR_BLAS) return DIO_OK;
    struct dio_blas *blas = &kernels->blas;
    if (!blas->library) {
        DIO_PASS(load(ctx, blas, kernels->level));
        if (!blas->library) {
            const char *why = dlerror();
            return dio_fail(ctx, DIO_ERR_ENV, NULL, &(struct dio_place){.file = library_name, .hint = "install libopenblas0, or leave out --linear blas"},
                            "cannot be loaded: %s", why ? why : "no reason given");
        }
        bind(blas);
    }
    if (!blas->sgemm) return dio_fail(ctx, DIO_ERR_ENV, NULL, NULL, "%s", blas->note);
    kernels->linear = DIO_LINEAR_BLAS;
    return DIO_OK;
}

void dio_kernels_close(struct dio_kernels *kernels)
{
    if (kernels->blas.library) dlclose(kernels->blas.library);
    kernels->blas = (struct dio_blas){.sgemm = NULL};
    kernels->linear = DIO_LINEAR_OWN;
}
