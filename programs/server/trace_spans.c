/* Names of attributes are OpenTelemetry's where it has one for the matter (its conventions for HTTP servers), else begin with
 * "senvec.". In OTLP's JSON 64-bit integers are strings and ids are hexadecimal. */
#include "server/trace_spans.h"

#include <string.h>

#include "common/hash.h"
#include "senvec.h"
#include "server/exchange.h"

enum { KIND_INTERNAL = 1, KIND_SERVER = 2, STATUS_ERROR = 2 }; /* of opentelemetry/proto/trace/v1/trace.proto */

sv_trace_record sv_trace_record_of(const sv_exchange *exchange, uint64_t spans, uint64_t end_ns) {
    const sv_request *request = &exchange->request;
    sv_trace_record record = {
        .parent = exchange->trace,
        .spans = spans,
        .begin_ns = exchange->begin_ns,
        .end_ns = end_ns,
        .submitted_ns = request->submitted_ns,
        .finished_ns = request->finished_ns,
        .tokenize_ns = request->tokenize_ns,
        .queue_ns = request->queue_ns,
        .compute_ns = request->compute_ns,
        .route = exchange->route ? exchange->route->path : NULL,
        .model = exchange->served->names.items[0],
        .status = exchange->status,
        .texts = request->count,
        .cached = request->cached,
        .tokens = request->stats.tokens,
    };
    memcpy(record.method, exchange->method, sizeof record.method);
    memcpy(record.request_id, exchange->id, sizeof record.request_id);
    return record;
}

/* -------------------------------------------------------------------- JSON */

static void put_string(sv_bytes *out, const char *key, const char *text) {
    sv_bytes_print(out, ",{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    sv_bytes_string(out, text, strlen(text));
    sv_bytes_text(out, "}}");
}

static void put_number(sv_bytes *out, const char *key, uint64_t number) {
    sv_bytes_print(out, ",{\"key\":\"%s\",\"value\":{\"intValue\":\"%llu\"}}", key, (unsigned long long)number);
}

/* The id of a record's span, 0 being the server's; never 0. */
static uint64_t span_id(const sv_trace_record *record, uint64_t span) {
    uint64_t id = sv_hash(record->spans, &span, sizeof span);
    return id ? id : 1;
}

/* A span within the server's; the comma before it belongs to it. */
static void put_part(sv_bytes *out, const sv_trace_record *record, uint64_t span, const char *name, uint64_t begin,
                     uint64_t end) {
    sv_bytes_print(out,
                   ",{\"traceId\":\"%s\",\"spanId\":\"%016llx\",\"parentSpanId\":\"%016llx\",\"name\":\"%s\",\"kind\":%d,"
                   "\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":\"%llu\"}",
                   record->parent.trace_id, (unsigned long long)span_id(record, span), (unsigned long long)span_id(record, 0),
                   name, KIND_INTERNAL, (unsigned long long)begin, (unsigned long long)end);
}

static void put_parts(sv_bytes *out, const sv_trace_record *record, uint64_t offset) {
    if (!record->submitted_ns)
        return;
    uint64_t queued = offset + record->submitted_ns, done = offset + record->finished_ns;
    put_part(out, record, 1, "tokenize", queued - record->tokenize_ns, queued);
    if (!record->finished_ns)
        return;
    put_part(out, record, 2, "queue", done - record->compute_ns - record->queue_ns, done - record->compute_ns);
    put_part(out, record, 3, "compute", done - record->compute_ns, done);
    put_part(out, record, 4, "write", done, offset + record->end_ns);
}

static void put_record(sv_bytes *out, const sv_trace_record *record, uint64_t offset) {
    sv_bytes_print(out,
                   "{\"traceId\":\"%s\",\"spanId\":\"%016llx\",\"parentSpanId\":\"%s\",\"name\":\"%s%s%s\",\"kind\":%d,"
                   "\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":\"%llu\"",
                   record->parent.trace_id, (unsigned long long)span_id(record, 0), record->parent.parent_id, record->method,
                   record->route ? " " : "", record->route ? record->route : "", KIND_SERVER,
                   (unsigned long long)(offset + record->begin_ns), (unsigned long long)(offset + record->end_ns));
    sv_bytes_print(out, ",\"attributes\":[{\"key\":\"http.request.method\",\"value\":{\"stringValue\":\"%s\"}}",
                   record->method);
    put_string(out, "senvec.request_id", record->request_id);
    if (record->route)
        put_string(out, "http.route", record->route);
    if (record->status)
        put_number(out, "http.response.status_code", record->status);
    if (record->submitted_ns) {
        put_string(out, "senvec.model", record->model);
        put_number(out, "senvec.texts", record->texts);
        put_number(out, "senvec.tokens", record->tokens);
        put_number(out, "senvec.cached_texts", record->cached);
    }
    sv_bytes_text(out, "]");
    if (record->status >= 500)
        sv_bytes_print(out, ",\"status\":{\"code\":%d}", STATUS_ERROR);
    sv_bytes_text(out, "}");
    put_parts(out, record, offset);
}

void sv_trace_spans_write(const sv_trace_record *records, size_t count, const char *service, uint64_t wall_offset_ns,
                          sv_bytes *out) {
    sv_bytes_text(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"telemetry.sdk.language\",\"value\":"
                       "{\"stringValue\":\"c\"}}");
    put_string(out, "service.name", service);
    put_string(out, "service.version", senvec_version());
    sv_bytes_print(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"senvec\",\"version\":\"%s\"},\"spans\":[", senvec_version());
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            sv_bytes_text(out, ",");
        put_record(out, &records[i], wall_offset_ns);
    }
    sv_bytes_text(out, "]}]}]}");
}
