/* The bar is one line that is drawn over itself ten times a second and made no wider than the terminal. It uses box-drawing
 * characters where the locale is UTF-8, and colour unless NO_COLOR is set. */
#include "cli/progress.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/human.h"
#include "common/clock.h"

enum { BAR_CELLS = 30, MAX_DETAIL = 160 };

static const uint64_t QUIET_START_NS = SV_NS_PER_S;
static const uint64_t REDRAW_NS = SV_NS_PER_S / 10;
static const uint64_t LINE_NS = 10 * SV_NS_PER_S;

static const char ERASE_LINE[] = "\r\033[K";
static volatile sig_atomic_t bar_stands;

static size_t terminal_columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void sv_progress_clear(void) {
    if (bar_stands) {
        fputs(ERASE_LINE, stderr);
        bar_stands = 0;
    }
}

void sv_progress_clear_in_signal(void) {
    if (bar_stands && write(STDERR_FILENO, ERASE_LINE, sizeof ERASE_LINE - 1) < 0)
        return; /* nobody is left to tell */
}

void sv_progress_begin(sv_progress *progress, const char *label, bool quiet) {
    uint64_t now = sv_clock_ns();
    *progress = (sv_progress){.label = label, .quiet = quiet, .begun_ns = now, .drawn_ns = now, .first_fraction = -1};
}

double sv_progress_seconds(const sv_progress *progress) {
    return (double)(sv_clock_ns() - progress->begun_ns) / (double)SV_NS_PER_S;
}

/* Seconds to go, from the speed since the beginning; below 0: can't tell yet. */
static double seconds_left(const sv_progress *progress, double fraction) {
    double gained = fraction - progress->first_fraction;
    if (fraction < 0 || gained <= 0 || progress->uneven)
        return -1;
    return (double)(sv_clock_ns() - progress->first_ns) / (double)SV_NS_PER_S * (1 - fraction) / gained;
}

/* BAR_CELLS cells, the first `fraction` of them full; half cells let it move twice as smoothly. In colour the rest is a grey
 * line, without it is blank. */
static size_t render_bar(double fraction, bool unicode, bool colour, char *out, size_t size) {
    size_t halves = (size_t)(fraction * 2 * BAR_CELLS);
    bool grey = false;
    size_t used = (size_t)snprintf(out, size, "%s", colour ? "\033[36m" : unicode ? "" : "[");
    for (size_t cell = 0; cell < BAR_CELLS; cell++) {
        bool full = halves >= 2 * cell + 2, half = halves == 2 * cell + 1;
        if (colour && !full && !half && !grey) {
            used += (size_t)snprintf(out + used, size - used, "\033[90m");
            grey = true;
        }
        const char *glyph = unicode ? (full || grey ? "━" : half ? "╸" : " ") : full ? "=" : half ? ">" : " ";
        used += (size_t)snprintf(out + used, size - used, "%s", glyph);
    }
    return used + (size_t)snprintf(out + used, size - used, "%s", colour ? "\033[0m" : unicode ? "" : "]");
}

/* label, bar, percent, detail, time to go; parts that don't fit into the terminal's width are left out from the right. */
static void draw_bar(const sv_progress *progress, double fraction, const char *detail) {
    bool colour = sv_human_colour(stderr), unicode = sv_human_unicode();
    char bar[BAR_CELLS * 4 + 32], left[SV_HUMAN + 8] = "";
    size_t columns = terminal_columns();
    double seconds = seconds_left(progress, fraction);
    if (seconds >= 0)
        snprintf(left, sizeof left, "  %s left", sv_human_countdown((char[SV_HUMAN]){0}, seconds));
    size_t width = strlen(progress->label) + 2 + (fraction >= 0 ? BAR_CELLS + (unicode || colour ? 0 : 2) + 7 : 0);
    size_t detail_room = columns > width + 1 ? columns - width - 1 : 0;
    if (strlen(detail) + strlen(left) > detail_room)
        detail = left[0] ? left + 2 : detail;
    else
        detail_room -= strlen(left);
    fprintf(stderr, "%s%s  ", ERASE_LINE, progress->label);
    if (fraction >= 0) {
        render_bar(fraction, unicode, colour, bar, sizeof bar);
        fprintf(stderr, "%s %3d %%  ", bar, (int)(fraction * 100));
    }
    fprintf(stderr, "%.*s%s", (int)detail_room, detail, detail == left + 2 ? "" : left);
    fflush(stderr);
    bar_stands = 1;
}

static void print_line(const sv_progress *progress, double fraction, const char *detail) {
    double seconds = seconds_left(progress, fraction);
    fprintf(stderr, "%s: ", progress->label);
    if (fraction >= 0)
        fprintf(stderr, "%d %%, ", (int)(fraction * 100));
    fprintf(stderr, "%s", detail);
    if (seconds >= 0)
        fprintf(stderr, ", %s left", sv_human_countdown((char[SV_HUMAN]){0}, seconds));
    fputc('\n', stderr);
}

void sv_progress_update(sv_progress *progress, double fraction, const char *format, ...) {
    if (progress->quiet)
        return;
    if (fraction > 1)
        fraction = 1;
    uint64_t now = sv_clock_ns();
    if (fraction >= 0 && (progress->first_fraction < 0 || progress->restart)) {
        progress->first_fraction = fraction;
        progress->first_ns = now;
        progress->restart = false;
    }
    bool terminal = isatty(STDERR_FILENO);
    if (now - progress->begun_ns < QUIET_START_NS || now - progress->drawn_ns < (terminal ? REDRAW_NS : LINE_NS))
        return;
    progress->drawn_ns = now;
    char detail[MAX_DETAIL];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if (terminal)
        draw_bar(progress, fraction, detail);
    else
        print_line(progress, fraction, detail);
}

void sv_progress_end(sv_progress *progress) {
    if (!progress->quiet)
        sv_progress_clear();
}
