/* Makes pictures that look like satellite tiles: one folder a land-cover class, 64 x 64 PNG files, the same for the same
 * seed.
 *
 *     make_tiles FOLDER [PICTURES_PER_CLASS [SEED]]
 *
 * FOLDER gets train/CLASS/NNN.png and test/CLASS/NNN.png (a fifth of the pictures). */
#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 64 };

struct tile {
    double rgb[SIDE][SIDE][3];
};

/* ---- numbers that depend on the seed and on nothing else ---- */

struct dice {
    uint64_t state;
};

/* splitmix64 */
static uint64_t roll(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(struct dice *dice, double low, double high)
{
    return low + (high - low) * (double)(roll(dice) >> 11) / 9007199254740992.0;
}

static double lattice(uint64_t seed, int64_t x, int64_t y)
{
    struct dice dice = {seed ^ ((uint64_t)x * 0x632be59bd9b4e019u) ^ ((uint64_t)y * 0xd1342543de82ef95u)};
    return uniform(&dice, -1, 1);
}

/* Value noise: smooth, -1 to 1. */
static double noise(uint64_t seed, double x, double y)
{
    double fx = floor(x), fy = floor(y);
    double u = x - fx, v = y - fy;
    int64_t ix = (int64_t)fx, iy = (int64_t)fy;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    double top = lattice(seed, ix, iy) * (1 - u) + lattice(seed, ix + 1, iy) * u;
    double bottom = lattice(seed, ix, iy + 1) * (1 - u) + lattice(seed, ix + 1, iy + 1) * u;
    return top * (1 - v) + bottom * v;
}

/* Several octaves of it. */
static double cloud(uint64_t seed, double x, double y, double size, int octaves)
{
    double sum = 0, height = 0.5;
    for (int i = 0; i < octaves; i++, height /= 2, size /= 2) sum += height * noise(seed + (uint64_t)i, x / size, y / size);
    return sum;
}

/* ---- painting ---- */

static void ground(struct tile *tile, struct dice *dice, double r, double g, double b, double change, double size)
{
    uint64_t seed = roll(dice), fine = roll(dice);
    double light = uniform(dice, 0.85, 1.15), warm = uniform(dice, -0.05, 0.05);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            double n = 1 + change * cloud(seed, x, y, size, 4) + 0.06 * cloud(fine, x, y, 2, 1);
            tile->rgb[y][x][0] = r * light * n + warm;
            tile->rgb[y][x][1] = g * light * n;
            tile->rgb[y][x][2] = b * light * n - warm;
        }
    }
}

static void dot(struct tile *tile, int x, int y, const double color[3], double cover)
{
    if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) return;
    for (int c = 0; c < 3; c++) tile->rgb[y][x][c] += cover * (color[c] - tile->rgb[y][x][c]);
}

/* A turned rectangle with a soft edge. */
static void box(struct tile *tile, double cx, double cy, double w, double h, double angle, const double color[3])
{
    double c = cos(angle), s = sin(angle);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            double u = fabs((x - cx) * c + (y - cy) * s) - w / 2, v = fabs(-(x - cx) * s + (y - cy) * c) - h / 2;
            double outside = fmax(u, v);
            if (outside < 0.5) dot(tile, x, y, color, fmin(1, 0.5 - outside));
        }
    }
}

static void disc(struct tile *tile, double cx, double cy, double radius, const double color[3])
{
    for (int y = (int)(cy - radius) - 1; y <= (int)(cy + radius) + 1; y++) {
        for (int x = (int)(cx - radius) - 1; x <= (int)(cx + radius) + 1; x++) {
            double outside = hypot(x - cx, y - cy) - radius;
            if (outside < 0.5) dot(tile, x, y, color, fmin(1, 0.5 - outside));
        }
    }
}

static void shade(double out[3], struct dice *dice, double r, double g, double b, double spread)
{
    double light = uniform(dice, 1 - spread, 1 + spread);
    out[0] = r * light;
    out[1] = g * light;
    out[2] = b * light;
}

static void paint_water(struct tile *tile, struct dice *dice)
{
    ground(tile, dice, uniform(dice, 0.08, 0.2), uniform(dice, 0.22, 0.34), uniform(dice, 0.36, 0.5), 0.12, 24);
    if (uniform(dice, 0, 1) < 0.6) { /* a shore */
        uint64_t seed = roll(dice);
        double angle = uniform(dice, 0, 2 * M_PI), shift = uniform(dice, 10, 40), land[3];
        shade(land, dice, 0.45, 0.42, 0.26, 0.2);
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) {
                double d = (x - 32) * cos(angle) + (y - 32) * sin(angle) + 14 * cloud(seed, x, y, 20, 3) - shift;
                if (d > 0) dot(tile, x, y, land, fmin(1, d));
            }
        }
    }
}

static void paint_forest(struct tile *tile, struct dice *dice)
{
    ground(tile, dice, 0.13, 0.25, 0.12, 0.35, 18);
    int trees = (int)uniform(dice, 150, 320);
    for (int i = 0; i < trees; i++) {
        double x = uniform(dice, 0, SIDE), y = uniform(dice, 0, SIDE), r = uniform(dice, 1, 2.6), dark[3], crown[3];
        shade(dark, dice, 0.05, 0.1, 0.05, 0.3);
        shade(crown, dice, 0.16, 0.33, 0.13, 0.35);
        disc(tile, x + 1, y + 1, r, dark);
        disc(tile, x, y, r, crown);
    }
}

static void paint_field(struct tile *tile, struct dice *dice)
{
    ground(tile, dice, 0.4, 0.42, 0.2, 0.1, 30);
    double angle = uniform(dice, 0, M_PI);
    int fields = (int)uniform(dice, 3, 8);
    for (int i = 0; i < fields; i++) {
        static const double crops[4][3] = {{0.5, 0.45, 0.22}, {0.3, 0.45, 0.18}, {0.55, 0.5, 0.3}, {0.36, 0.27, 0.17}};
        double color[3], w = uniform(dice, 14, 40), h = uniform(dice, 14, 40);
        const double *crop = crops[roll(dice) % 4];
        shade(color, dice, crop[0], crop[1], crop[2], 0.15);
        box(tile, uniform(dice, 0, SIDE), uniform(dice, 0, SIDE), w, h, angle, color);
    }
    double period = uniform(dice, 2.5, 5), depth = uniform(dice, 0.03, 0.12);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            double furrow = 1 + depth * sin(2 * M_PI * (x * cos(angle) + y * sin(angle)) / period);
            for (int c = 0; c < 3; c++) tile->rgb[y][x][c] *= furrow;
        }
    }
}

static void paint_houses(struct tile *tile, struct dice *dice)
{
    ground(tile, dice, 0.32, 0.38, 0.24, 0.2, 16);
    double angle = uniform(dice, 0, M_PI / 2), step = uniform(dice, 13, 18), road[3];
    shade(road, dice, 0.45, 0.45, 0.44, 0.1);
    for (int i = -2; i <= 2; i += 2) {
        double along = i * step;
        box(tile, 32 - along * sin(angle), 32 + along * cos(angle), 140, 3, angle, road);
    }
    for (int i = -4; i <= 4; i++) {
        for (int j = -4; j <= 4; j++) {
            if (uniform(dice, 0, 1) < 0.2) continue;
            double u = i * step * 0.75 + uniform(dice, -2, 2), v = (j + 0.5) * step + uniform(dice, -1, 1), roof[3];
            double x = 32 + u * cos(angle) - v * sin(angle), y = 32 + u * sin(angle) + v * cos(angle);
            static const double dark[3] = {0.12, 0.13, 0.12};
            if (roll(dice) % 3) shade(roof, dice, 0.55, 0.32, 0.25, 0.25);
            else shade(roof, dice, 0.55, 0.54, 0.52, 0.2);
            double w = uniform(dice, 4.5, 7.5), h = uniform(dice, 4, 6);
            box(tile, x + 1.2, y + 1.2, w, h, angle, dark);
            box(tile, x, y, w, h, angle, roof);
        }
    }
}

static void paint_industry(struct tile *tile, struct dice *dice)
{
    ground(tile, dice, 0.42, 0.41, 0.39, 0.14, 14);
    double angle = uniform(dice, 0, M_PI / 2);
    int halls = (int)uniform(dice, 3, 7);
    for (int i = 0; i < halls; i++) {
        static const double dark[3] = {0.14, 0.14, 0.15};
        double x = uniform(dice, 4, 60), y = uniform(dice, 4, 60), w = uniform(dice, 14, 34), h = uniform(dice, 10, 20), roof[3];
        if (roll(dice) % 4) shade(roof, dice, 0.7, 0.71, 0.73, 0.2);
        else shade(roof, dice, 0.35, 0.45, 0.55, 0.2);
        box(tile, x + 2, y + 2, w, h, angle, dark);
        box(tile, x, y, w, h, angle, roof);
        for (int k = -1; k <= 1; k++) { /* ridges */
            double line[3] = {roof[0] * 0.85, roof[1] * 0.85, roof[2] * 0.85};
            box(tile, x - k * h / 4 * sin(angle), y + k * h / 4 * cos(angle), w - 2, 0.8, angle, line);
        }
    }
    int tanks = (int)uniform(dice, 0, 5);
    for (int i = 0; i < tanks; i++) {
        double white[3];
        shade(white, dice, 0.8, 0.8, 0.78, 0.1);
        disc(tile, uniform(dice, 4, 60), uniform(dice, 4, 60), uniform(dice, 2.5, 5), white);
    }
}

static void paint_bare(struct tile *tile, struct dice *dice)
{
    ground(tile, dice, uniform(dice, 0.5, 0.66), uniform(dice, 0.42, 0.52), uniform(dice, 0.28, 0.38), 0.25, 22);
    uint64_t seed = roll(dice);
    double angle = uniform(dice, 0, M_PI), period = uniform(dice, 7, 14), depth = uniform(dice, 0.03, 0.12);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            double at = x * cos(angle) + y * sin(angle) + 10 * cloud(seed, x, y, 24, 2);
            for (int c = 0; c < 3; c++) tile->rgb[y][x][c] *= 1 + depth * sin(2 * M_PI * at / period);
        }
    }
}

static const struct {
    const char *name;
    void (*paint)(struct tile *tile, struct dice *dice);
} classes[] = {{"bare", paint_bare}, {"field", paint_field}, {"forest", paint_forest},
               {"houses", paint_houses}, {"industry", paint_industry}, {"water", paint_water}};
enum { CLASSES = sizeof classes / sizeof *classes };

/* ---- files ---- */

static void haze(struct tile *tile, struct dice *dice, uint8_t out[SIDE][SIDE][3])
{
    double veil = uniform(dice, 0, 0.15), noise_level = uniform(dice, 0, 0.03);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            for (int c = 0; c < 3; c++) {
                double v = tile->rgb[y][x][c] * (1 - veil) + 0.75 * veil + uniform(dice, -noise_level, noise_level);
                out[y][x][c] = (uint8_t)(255 * fmin(1, fmax(0, v)) + 0.5);
            }
        }
    }
}

static int write_png(const char *path, uint8_t pixels[SIDE][SIDE][3])
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = image.height = SIDE;
    image.format = PNG_FORMAT_RGB;
    if (png_image_write_to_file(&image, path, 0, pixels, 0, NULL)) return 0;
    (void)fprintf(stderr, "make_tiles: %s: %s\n", path, image.message);
    return 1;
}

static int make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0;
    (void)fprintf(stderr, "make_tiles: %s: %s\n", path, strerror(errno));
    return 1;
}

static int make_picture(const char *folder, int class_index, int number, int test, uint64_t seed)
{
    char path[4096];
    struct tile tile;
    uint8_t pixels[SIDE][SIDE][3];
    struct dice dice = {seed * 1000003u + (uint64_t)class_index * 100003u + (uint64_t)number};
    (void)roll(&dice);
    classes[class_index].paint(&tile, &dice);
    haze(&tile, &dice, pixels);
    int length = snprintf(path, sizeof path, "%s/%s/%s/%04d.png", folder, test ? "test" : "train", classes[class_index].name, number);
    if (length < 0 || (size_t)length >= sizeof path) {
        (void)fprintf(stderr, "make_tiles: name too long\n");
        return 1;
    }
    return write_png(path, pixels);
}

int main(int argc, char **argv)
{
    long count = argc > 2 ? strtol(argv[2], NULL, 10) : 60;
    unsigned long seed = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    if (argc < 2 || argc > 4 || count < 2 || count > 9999) {
        (void)fprintf(stderr, "usage: make_tiles FOLDER [PICTURES_PER_CLASS (2 to 9999) [SEED]]\n");
        return 2;
    }
    char path[4096];
    int failed = make_folder(argv[1]);
    for (int part = 0; part < 2 && !failed; part++) {
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], part ? "test" : "train");
        failed = make_folder(path);
        for (int c = 0; c < CLASSES && !failed; c++) {
            (void)snprintf(path, sizeof path, "%s/%s/%s", argv[1], part ? "test" : "train", classes[c].name);
            failed = make_folder(path);
        }
    }
    for (int c = 0; c < CLASSES && !failed; c++) {
        for (int i = 0; i < count && !failed; i++) failed = make_picture(argv[1], c, i, i % 5 == 4, seed);
    }
    if (!failed) printf("%s: %ld pictures in %d classes\n", argv[1], count * CLASSES, (int)CLASSES);
    return failed;
}
