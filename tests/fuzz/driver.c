/* A main() for machines without libFuzzer: runs the inputs that it is given, and random changes of them.

       driver [-runs=N] [-seed=N] [-dict=FILE] [-max_len=N] FILE|FOLDER...

   The same seed makes the same changes. With -keep=FILE each input is written there before its run: after a crash it
   is the culprit. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef struct {
    uint8_t *data;
    size_t n;
} input;

typedef struct {
    input *all;
    size_t n;
} inputs;

static void *need(void *p)
{
    if (p == NULL) {
        fputs("driver: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

static void add(inputs *to, const uint8_t *data, size_t n)
{
    to->all = need(realloc(to->all, (to->n + 1) * sizeof *to->all));
    to->all[to->n].data = need(malloc(n + 1));
    memcpy(to->all[to->n].data, data, n);
    to->all[to->n++].n = n;
}

static int by_content(const void *a, const void *b)
{
    const input *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static void add_path(inputs *to, const char *path)
{
    DIR *folder = opendir(path);
    if (folder != NULL) {
        for (struct dirent *one; (one = readdir(folder)) != NULL;) {
            char below[4096];
            if (one->d_name[0] == '.') continue;
            snprintf(below, sizeof below, "%s/%s", path, one->d_name);
            add_path(to, below);
        }
        closedir(folder);
        return;
    }
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(2);
    }
    static uint8_t block[1 << 20];
    add(to, block, fread(block, 1, sizeof block, f));
    fclose(f);
}

/* Lines of a libFuzzer dictionary: "text", with \\, \" and \xAB. */
static void add_words(inputs *to, const char *path)
{
    char line[1024];
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof line, f) != NULL) {
        uint8_t word[1024];
        size_t n = 0;
        char *p = strchr(line, '"');
        if (line[0] == '#' || p == NULL) continue;
        for (p++; *p && *p != '"'; p++) {
            if (*p == '\\' && p[1] == 'x' && p[2] && p[3]) {
                char digits[] = {p[2], p[3], 0};
                word[n++] = (uint8_t)strtoul(digits, NULL, 16);
                p += 3;
            } else {
                if (*p == '\\' && p[1]) p++;
                word[n++] = (uint8_t)*p;
            }
        }
        add(to, word, n);
    }
    fclose(f);
}

static uint64_t state;

static size_t below(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n ? (size_t)(state % n) : 0;
}

/* Puts `with` in the place of `n` bytes at `at`. */
static size_t splice(uint8_t *data, size_t len, size_t max, size_t at, size_t n, const uint8_t *with, size_t with_len)
{
    if (len - n + with_len > max) return len;
    memmove(data + at + with_len, data + at + n, len - at - n);
    if (with_len) memcpy(data + at, with, with_len);
    return len - n + with_len;
}

static size_t change(uint8_t *data, size_t len, size_t max, const inputs *seeds, const inputs *words)
{
    static uint8_t piece[1 << 20];
    size_t at = below(len + 1), n = below(len - at + 1) % 64;
    switch (below(8)) {
    case 0:
        if (at < len) data[at] ^= (uint8_t)(1u << below(8));
        return len;
    case 1:
        if (at < len) data[at] = (uint8_t)below(256);
        return len;
    case 2: return splice(data, len, max, at, n, NULL, 0);
    case 3: /* again */
        memcpy(piece, data + at, n);
        return splice(data, len, max, at, 0, piece, n);
    case 4: { /* from another seed */
        const input *other = &seeds->all[below(seeds->n)];
        size_t from = below(other->n + 1), many = below(other->n - from + 1);
        return splice(data, len, max, at, n, other->data + from, many);
    }
    case 5:
        if (len) data[below(len < 8 ? len : 8)] = (uint8_t)below(256);
        return len;
    case 6: /* cut off */
        return below(4) ? len : at;
    default: {
        if (words->n == 0) return len;
        const input *word = &words->all[below(words->n)];
        return splice(data, len, max, at, below(2) ? n : 0, word->data, word->n);
    }
    }
}

static void run(const uint8_t *data, size_t n, const char *keep)
{
    uint8_t *exact = need(malloc(n ? n : 1));
    memcpy(exact, data, n);
    if (keep != NULL) {
        FILE *f = fopen(keep, "wb");
        if (f == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
            perror(keep);
            exit(2);
        }
    }
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

int main(int argc, char **argv)
{
    inputs seeds = {NULL, 0}, words = {NULL, 0};
    size_t runs = 10000, max = 8192;
    const char *keep = NULL;
    state = 1;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0) runs = strtoull(argv[i] + 6, NULL, 10);
        else if (strncmp(argv[i], "-seed=", 6) == 0) state = strtoull(argv[i] + 6, NULL, 10);
        else if (strncmp(argv[i], "-max_len=", 9) == 0) max = strtoull(argv[i] + 9, NULL, 10);
        else if (strncmp(argv[i], "-keep=", 6) == 0) keep = argv[i] + 6;
        else if (strncmp(argv[i], "-dict=", 6) == 0) add_words(&words, argv[i] + 6);
        else if (argv[i][0] != '-') add_path(&seeds, argv[i]);
    }
    if (seeds.n == 0) {
        fputs("driver: no input\n", stderr);
        return 2;
    }
    state = state * UINT64_C(0x9e3779b97f4a7c15) | 1;
    if (max > 1 << 20) max = 1 << 20;
    qsort(seeds.all, seeds.n, sizeof *seeds.all, by_content); /* a folder has no order */
    for (size_t i = 0; i < seeds.n; i++) run(seeds.all[i].data, seeds.all[i].n, keep);

    uint8_t *data = need(malloc(max + 1));
    for (size_t i = 0; i < runs; i++) {
        const input *seed = &seeds.all[below(seeds.n)];
        size_t len = seed->n < max ? seed->n : max;
        memcpy(data, seed->data, len);
        for (size_t changes = 1 + below(6); changes; changes--) len = change(data, len, max, &seeds, &words);
        run(data, len, keep);
    }
    printf("Done %zu runs of %zu inputs\n", runs + seeds.n, seeds.n);
    free(data);
    for (size_t i = 0; i < seeds.n; i++) free(seeds.all[i].data);
    for (size_t i = 0; i < words.n; i++) free(words.all[i].data);
    free(seeds.all);
    free(words.all);
    return 0;
}
