// What is told to cockpit: each event a line of JSON, in the file COCKPIT_EVENTS or else printed.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

inline FILE *events = stdout;

// Ends the program with 2 if the file cannot be written.
inline void open_events() {
    const char *path = std::getenv("COCKPIT_EVENTS");
    if (path && *path && !(events = std::fopen(path, "a"))) {
        std::perror(path);
        std::exit(2);
    }
}

// One event of these fields, with its time, in one write: no reader sees half of a line.
inline void tell(const std::string &fields) {
    timespec now;
    timespec_get(&now, TIME_UTC);
    char time[64];
    std::snprintf(time, sizeof time, "{\"time_s\": %.3f, ", now.tv_sec + now.tv_nsec / 1e9);
    const std::string line = time + fields + "}\n";
    std::fwrite(line.data(), 1, line.size(), events);
    std::fflush(events);
}

inline std::string format(const char *pattern, ...) {
    char text[1024];
    va_list values;
    va_start(values, pattern);
    std::vsnprintf(text, sizeof text, pattern, values);
    va_end(values);
    return text;
}

// A text of JSON, quotes included.
inline std::string quoted(const std::string &text) {
    std::string result = "\"";
    for (const unsigned char letter : text) {
        if (letter == '"' || letter == '\\') result += '\\';
        if (letter < ' ')
            result += format("\\u%04x", letter);
        else
            result += char(letter);
    }
    return result + '"';
}

// To the log, and to whoever looks at the job.
inline void message(const char *level, const std::string &text) {
    std::fprintf(stderr, "%s\n", text.c_str());
    tell(format("\"type\": \"message\", \"level\": \"%s\", \"text\": ", level) + quoted(text));
}
