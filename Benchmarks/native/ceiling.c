/* The ceiling of HTTP on this machine: a libuv server that looks for the end of each request's head (and
 * skips a body by its Content-Length) and answers with one fixed response of as many bytes as asked for.
 *
 * usage: ceiling PORT RESPONSE_FILE */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static char *response;
static size_t response_length;
static char read_buffer[65536];

typedef struct {
  uv_tcp_t handle;
  size_t held;        /* bytes of an unfinished request in `tail` */
  char tail[65536];
} client_t;

typedef struct {
  uv_write_t request;
  char *bytes;
} late_write_t;

static void did_close(uv_handle_t *handle) { free(handle); }

static void did_write(uv_write_t *request, int status) {
  (void)status;
  late_write_t *late = (late_write_t *)request;
  free(late->bytes);
  free(late);
}

static void answer(client_t *client, size_t count) {
  static char output[1 << 20];
  size_t length = 0;
  while (count-- > 0 && length + response_length <= sizeof output) {
    memcpy(output + length, response, response_length);
    length += response_length;
  }
  uv_buf_t buffer = uv_buf_init(output, length);
  int written = uv_try_write((uv_stream_t *)client, &buffer, 1);
  if (written < 0) written = 0;
  if ((size_t)written == length) return;
  late_write_t *late = malloc(sizeof *late);
  late->bytes = malloc(length - written);
  memcpy(late->bytes, output + written, length - written);
  buffer = uv_buf_init(late->bytes, length - written);
  uv_write(&late->request, (uv_stream_t *)client, &buffer, 1, did_write);
}

static size_t content_length(const char *head, size_t length) {
  const char *field = memmem(head, length, "Content-Length: ", 16);
  return field ? strtoul(field + 16, NULL, 10) : 0;
}

static void did_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  client_t *client = (client_t *)stream;
  if (count < 0) {
    uv_close((uv_handle_t *)stream, did_close);
    return;
  }
  const char *bytes = buffer->base;
  size_t length = count;
  if (client->held > 0) {
    if (client->held + length > sizeof client->tail) {
      uv_close((uv_handle_t *)stream, did_close);
      return;
    }
    memcpy(client->tail + client->held, bytes, length);
    bytes = client->tail;
    length += client->held;
    client->held = 0;
  }
  size_t requests = 0;
  while (length > 0) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) break;
    size_t size = end + 4 - bytes;
    size += content_length(bytes, size);
    if (size > length) break;
    bytes += size;
    length -= size;
    requests++;
  }
  if (length > 0) {
    memmove(client->tail, bytes, length);
    client->held = length;
  }
  if (requests > 0) answer(client, requests);
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
  (void)handle;
  (void)size;
  *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void did_connect(uv_stream_t *server, int status) {
  if (status < 0) return;
  client_t *client = calloc(1, sizeof *client);
  uv_tcp_init(server->loop, &client->handle);
  if (uv_accept(server, (uv_stream_t *)client) < 0) {
    uv_close((uv_handle_t *)client, did_close);
    return;
  }
  uv_tcp_nodelay(&client->handle, 1);
  uv_read_start((uv_stream_t *)client, give_buffer, did_read);
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: ceiling PORT RESPONSE_FILE\n"), 64;
  FILE *file = fopen(argv[2], "rb");
  if (!file) return perror(argv[2]), 66;
  response = malloc(65536);
  response_length = fread(response, 1, 65536, file);
  fclose(file);
  uv_loop_t *loop = uv_default_loop();
  uv_tcp_t server;
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
  uv_tcp_init(loop, &server);
  int status = uv_tcp_bind(&server, (const struct sockaddr *)&address, 0);
  if (status == 0) status = uv_listen((uv_stream_t *)&server, 4096, did_connect);
  if (status < 0) return fprintf(stderr, "%s\n", uv_strerror(status)), 69;
  return uv_run(loop, UV_RUN_DEFAULT);
}
