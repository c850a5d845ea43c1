/* tools/bench_plot.c - pictures as SVG. Colours: those of Okabe and Ito, which the colour-blind tell apart. */
#include "tools/bench_plot.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 900.0
#define LEFT 150.0
#define RIGHT 120.0
#define TOP 70.0
#define ROW 22.0
#define HEIGHT 460.0 /* of line plots */
#define BOTTOM 60.0
#define EXIT_OUTPUT 74

static const char *const colours[PLOT_SERIES_MAX] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                     "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f"};

static void put_text(FILE *to, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&': fputs("&amp;", to); break;
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '"': fputs("&quot;", to); break;
        default: fputc(*text, to);
        }
}

/* @anchor: start, middle or end */
static void label(FILE *to, double x, double y, const char *anchor, const char *kind,
                  const char *text)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, kind);
    put_text(to, text);
    fputs("</text>\n", to);
}

/* The colours of text and lines follow the reader's scheme; the ground is painted, so that both fit wherever it is shown. */
static FILE *begin(const char *path, const char *title, double height)
{
    FILE *to = fopen(path, "we");

    if (to == NULL) {
        fprintf(stderr, "millstream: bench: cannot write %s: %s\n", path, strerror(errno));
        return NULL;
    }
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
            "height=\"%.0f\" role=\"img\" font-family=\"system-ui, sans-serif\">\n<title>",
            WIDTH, height, WIDTH, height);
    put_text(to, title);
    fputs("</title>\n<style>\n"
          ".ground{fill:#ffffff}.strong{fill:#1a1a1a;font-size:18px;font-weight:600}"
          ".text{fill:#333333;font-size:13px}.small{fill:#555555;font-size:12px}"
          ".grid{stroke:#dddddd;stroke-width:1}.axis{stroke:#777777;stroke-width:1}\n"
          "@media (prefers-color-scheme: dark){.ground{fill:#161b22}.strong{fill:#f0f0f0}"
          ".text{fill:#d5d5d5}.small{fill:#b0b0b0}.grid{stroke:#333a44}.axis{stroke:#8a8a8a}}\n"
          "</style>\n",
          to);
    fprintf(to, "<rect class=\"ground\" width=\"%.0f\" height=\"%.0f\" rx=\"6\"/>\n", WIDTH,
            height);
    label(to, 20, 30, "start", "strong", title);
    return to;
}

static int end(FILE *to, const char *path)
{
    const bool failed = fputs("</svg>\n", to) < 0 || ferror(to) != 0;

    if (fclose(to) == 0 && !failed)
        return 0;
    fprintf(stderr, "millstream: bench: cannot write %s: %s\n", path, strerror(errno));
    return EXIT_OUTPUT;
}

static void line(FILE *to, const char *kind, double x1, double y1, double x2, double y2)
{
    fprintf(to, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", kind, x1,
            y1, x2, y2);
}

static void legend(FILE *to, const char *const *names, uint32_t count)
{
    double x = LEFT;

    for (uint32_t i = 0; i < count; i++) {
        fprintf(to, "<rect x=\"%.1f\" y=\"44\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
                colours[i % PLOT_SERIES_MAX]);
        label(to, x + 17, 54.5, "start", "text", names[i]);
        x += 40 + 7.2 * (double)strlen(names[i]);
    }
}

/* "250", "1.5 k", "100 M" */
static const char *short_number(double value, char to[32])
{
    static const struct {
        double from;
        const char *unit;
    } units[] = {{1e9, " G"}, {1e6, " M"}, {1e3, " k"}};

    for (int i = 0; i < 3; i++)
        if (value >= units[i].from) {
            snprintf(to, 32, "%.4g%s", value / units[i].from, units[i].unit);
            return to;
        }
    snprintf(to, 32, "%.3g", value);
    return to;
}

/* 1, 2 or 5 times a power of ten: so that about @count of them reach @max. */
static double step_of(double max, double count)
{
    const double raw = max / count, power = pow(10, floor(log10(raw))), part = raw / power;

    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

/* A scale over pixels: linear from 0, or by powers of ten. */
struct scale {
    double from, to, low, high;
    bool logarithmic;
};

static double place(const struct scale *s, double value)
{
    const double part = s->logarithmic ? (log10(value > s->low ? value : s->low) - log10(s->low)) /
                                             (log10(s->high) - log10(s->low))
                                       : (value - s->low) / (s->high - s->low);

    return s->from + (s->to - s->from) * (part > 1 ? 1 : part);
}

static struct scale scale_of(double min, double max, double from, double to, bool logarithmic)
{
    struct scale s = {from, to, 0, max, logarithmic};

    if (!(max > 0))
        s.high = 1;
    if (logarithmic) {
        s.low = pow(10, floor(log10(min > 0 ? min : 1)));
        s.high = pow(10, ceil(log10(s.high) - 1e-9));
        s.low = s.low < s.high ? s.low : s.high / 10;
    }
    return s;
}

/* Calls for each mark of the scale: grid and number, along x or along y. */
static void marks(FILE *to, const struct scale *s, bool along_x, double low, double high)
{
    const double step = s->logarithmic ? 10 : step_of(s->high, 5);
    char text[32];

    for (double v = s->low; v <= s->high * 1.0001; v = s->logarithmic ? v * step : v + step) {
        const double at = place(s, v);

        if (along_x) {
            line(to, "grid", at, low, at, high);
            label(to, at, high + 16, "middle", "small", short_number(v, text));
        } else {
            line(to, "grid", low, at, high, at);
            label(to, low - 8, at + 4, "end", "small", short_number(v, text));
        }
    }
}

int plot_bars(const char *path, const char *title, const char *unit, const char *const *series,
              uint32_t series_count, const struct plot_bar *bars, uint32_t count, int logarithmic)
{
    const double bottom = TOP + ROW * count + 4;
    FILE *to = begin(path, title, bottom + BOTTOM);
    double max = 0, min = INFINITY;
    struct scale s;

    if (to == NULL)
        return EXIT_OUTPUT;
    for (uint32_t i = 0; i < count; i++) {
        max = bars[i].value > max ? bars[i].value : max;
        min = bars[i].value < min ? bars[i].value : min;
    }
    s = scale_of(min, max, LEFT, WIDTH - RIGHT - 60, logarithmic != 0);
    legend(to, series, series_count);
    marks(to, &s, true, TOP, bottom);
    for (uint32_t i = 0; i < count; i++) {
        const double y = TOP + ROW * i + 3, x = place(&s, bars[i].value);

        if (i == 0 || strcmp(bars[i].name, bars[i - 1].name) != 0)
            label(to, LEFT - 8, y + 13, "end", "text", bars[i].name);
        fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n",
                LEFT, y, x - LEFT > 1 ? x - LEFT : 1, ROW - 5,
                colours[bars[i].series % PLOT_SERIES_MAX]);
        label(to, x + 6, y + 13, "start", "small", bars[i].label);
    }
    line(to, "axis", LEFT, TOP, LEFT, bottom);
    label(to, (LEFT + WIDTH - RIGHT) / 2, bottom + 42, "middle", "text", unit);
    return end(to, path);
}

int plot_stages(const char *path, const char *title, const char *unit, const char *const *series,
                uint32_t series_count, const struct plot_stack *stacks, uint32_t count)
{
    const double bottom = TOP + ROW * 1.3 * count + 4;
    FILE *to = begin(path, title, bottom + BOTTOM);
    double max = 0;
    struct scale s;

    if (to == NULL)
        return EXIT_OUTPUT;
    for (uint32_t i = 0; i < count; i++) {
        double sum = 0;

        for (uint32_t p = 0; p < series_count; p++)
            sum += stacks[i].parts[p];
        max = sum > max ? sum : max;
    }
    s = scale_of(0, max, LEFT, WIDTH - RIGHT, false);
    legend(to, series, series_count);
    marks(to, &s, true, TOP, bottom);
    for (uint32_t i = 0; i < count; i++) {
        const double y = TOP + ROW * 1.3 * i + 3;
        double sum = 0;
        char text[32];

        label(to, LEFT - 8, y + 16, "end", "text", stacks[i].name);
        for (uint32_t p = 0; p < series_count; p++) {
            const double x = place(&s, sum), wide = place(&s, sum + stacks[i].parts[p]) - x;

            sum += stacks[i].parts[p];
            if (!(wide > 0))
                continue;
            fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"22\" fill=\"%s\"/>\n",
                    x, y, wide, colours[p]);
            if (wide > 40) {
                fprintf(to,
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"12\" "
                        "fill=\"#ffffff\">%s</text>\n",
                        x + wide / 2, y + 15, short_number(stacks[i].parts[p], text));
            }
        }
        label(to, place(&s, sum) + 6, y + 16, "start", "small", short_number(sum, text));
    }
    line(to, "axis", LEFT, TOP, LEFT, bottom);
    label(to, (LEFT + WIDTH - RIGHT) / 2, bottom + 42, "middle", "text", unit);
    return end(to, path);
}

/* ---- lines ---- */

static void poly(FILE *to, const struct plot_line *l, const struct scale *x, const struct scale *y,
                 const char *colour, bool dots)
{
    fprintf(to, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2.2\" points=\"", colour);
    for (uint32_t i = 0; i < l->count; i++)
        fprintf(to, "%.1f,%.1f ", place(x, l->x[i]), place(y, l->y[i]));
    fputs("\"/>\n", to);
    for (uint32_t i = 0; dots && i < l->count; i++)
        fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", place(x, l->x[i]),
                place(y, l->y[i]), colour);
}

static void bounds(const struct plot_line *lines, uint32_t count, double *x_max, double *y_min,
                   double *y_max)
{
    *x_max = *y_max = 0;
    *y_min = INFINITY;
    for (uint32_t n = 0; n < count; n++)
        for (uint32_t i = 0; i < lines[n].count; i++) {
            *x_max = fmax(*x_max, lines[n].x[i]);
            *y_max = fmax(*y_max, lines[n].y[i]);
            *y_min = fmin(*y_min, lines[n].y[i]);
        }
}

static void y_title(FILE *to, const char *unit)
{
    const double y = (TOP + HEIGHT - BOTTOM) / 2;

    fprintf(to,
            "<text x=\"22\" y=\"%.1f\" transform=\"rotate(-90 22 %.1f)\" "
            "text-anchor=\"middle\" class=\"text\">",
            y, y);
    put_text(to, unit);
    fputs("</text>\n", to);
}

static void names_of(FILE *to, const struct plot_line *lines, uint32_t count)
{
    const char *names[PLOT_SERIES_MAX] = {NULL};

    for (uint32_t n = 0; n < count; n++)
        names[n] = lines[n].name;
    legend(to, names, count);
}

/* Names at the ends of lines, pushed apart where they would lie on each other. */
static void end_labels(FILE *to, const struct plot_line *lines, uint32_t count, double x,
                       const struct scale *y)
{
    uint32_t order[PLOT_SERIES_MAX];
    double next = INFINITY;
    char text[100];

    for (uint32_t n = 0; n < count; n++) { /* from the lowest to the highest */
        uint32_t at = n;

        for (; at > 0 && lines[order[at - 1]].y[lines[order[at - 1]].count - 1] >
                             lines[n].y[lines[n].count - 1];
             at--)
            order[at] = order[at - 1];
        order[at] = n;
    }
    for (uint32_t n = 0; n < count; n++) {
        const struct plot_line *l = &lines[order[n]];
        const double last = l->y[l->count - 1], at = fmin(place(y, last) + 4, next);

        snprintf(text, sizeof text, "%s %.2f", l->name, last);
        fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x + 10, at - 4,
                colours[order[n]]);
        label(to, x + 18, at, "start", "small", text);
        next = at - 15;
    }
}

int plot_scaling(const char *path, const char *title, const struct plot_line *lines, uint32_t count)
{
    FILE *to = begin(path, title, HEIGHT);
    const double left = 80, right = WIDTH - 160, bottom = HEIGHT - BOTTOM;
    double x_max, y_min, y_max, last = -100;
    char text[32];

    if (to == NULL)
        return EXIT_OUTPUT;
    count = count < PLOT_SERIES_MAX ? count : PLOT_SERIES_MAX;
    bounds(lines, count, &x_max, &y_min, &y_max);
    const struct scale x = scale_of(0, x_max, left, right, false),
                       y = scale_of(0, fmax(y_max, x_max), bottom, TOP, false);

    marks(to, &y, false, left, right);
    for (double v = 1; v <= x_max; v++)
        if (place(&x, v) - last > 40) {
            last = place(&x, v);
            line(to, "grid", last, TOP, last, bottom);
            label(to, last, bottom + 16, "middle", "small", short_number(v, text));
        }
    fprintf(to,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"axis\" "
            "stroke-dasharray=\"6 4\"/>\n",
            left, bottom, place(&x, x_max), place(&y, x_max));
    for (uint32_t n = 0; n < count; n++)
        poly(to, &lines[n], &x, &y, colours[n], true);
    end_labels(to, lines, count, right, &y);
    line(to, "axis", left, TOP, left, bottom);
    line(to, "axis", left, bottom, right, bottom);
    label(to, (left + right) / 2, bottom + 40, "middle", "text", "shards (dashed: ideal)");
    y_title(to, "times the rate of one shard");
    return end(to, path);
}

int plot_latency(const char *path, const char *title, const struct plot_line *lines, uint32_t count)
{
    static const double ticks[] = {0, 90, 99, 99.9, 99.99, 99.999, 99.9999, 99.99999};
    const double left = 100, right = WIDTH - 40, bottom = HEIGHT - BOTTOM;
    FILE *to = begin(path, title, HEIGHT);
    double x_max, y_min, y_max, *odds[PLOT_SERIES_MAX] = {NULL};

    if (to == NULL)
        return EXIT_OUTPUT;
    count = count < PLOT_SERIES_MAX ? count : PLOT_SERIES_MAX;
    bounds(lines, count, &x_max, &y_min, &y_max);
    struct scale x = scale_of(1, 1 / (1 - fmin(x_max, 99.999999) / 100), left, right, true);
    const struct scale y = scale_of(y_min, y_max, bottom, TOP, true);

    x.high = x.high < 10 ? 10 : x.high;
    names_of(to, lines, count);
    marks(to, &y, false, left, right);
    for (size_t i = 0; i < sizeof ticks / sizeof *ticks; i++) {
        const double odd = 1 / (1 - ticks[i] / 100);
        char text[32];

        if (odd > x.high * 1.01)
            break;
        snprintf(text, sizeof text, "%.8g %%", ticks[i]);
        line(to, "grid", place(&x, odd), TOP, place(&x, odd), bottom);
        label(to, place(&x, odd), bottom + 16, "middle", "small", text);
    }
    for (uint32_t n = 0; n < count; n++) {
        odds[n] = calloc(lines[n].count + 1, sizeof **odds);
        for (uint32_t i = 0; odds[n] != NULL && i < lines[n].count; i++)
            odds[n][i] = 1 / (1 - fmin(lines[n].x[i], 99.999999) / 100);
        if (odds[n] != NULL)
            poly(to, &(const struct plot_line){lines[n].name, odds[n], lines[n].y, lines[n].count},
                 &x, &y, colours[n], false);
        free(odds[n]);
    }
    line(to, "axis", left, TOP, left, bottom);
    line(to, "axis", left, bottom, right, bottom);
    label(to, (left + right) / 2, bottom + 40, "middle", "text", "percentile of rows");
    y_title(to, "latency, microseconds");
    return end(to, path);
}
