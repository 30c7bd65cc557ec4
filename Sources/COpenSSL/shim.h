// The parts of libcrypto and libssl in use, and what Swift cannot import of them: macros, and
// callbacks that OpenSSL keeps.
#pragma once
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <sys/socket.h>

/// TLS 1.3 alone, one signature scheme and one group; both sides show a certificate; nothing of a
/// session is kept for a later one, so every handshake is a full and fresh one.
static inline SSL_CTX *lodge_tls_context(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_method());
  if (context == NULL) return NULL;
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(context, 4096);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_num_tickets(context, 0) != 1 ||
      SSL_CTX_set1_sigalgs_list(context, "ed25519") != 1 ||
      SSL_CTX_set1_groups_list(context, "X25519") != 1) {
    SSL_CTX_free(context);
    return NULL;
  }
  return context;
}

static inline int lodge_tls_write(BIO *bio, const char *bytes, int count) {
  ssize_t moved;
  BIO_clear_retry_flags(bio);
  do moved = send((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)count, MSG_NOSIGNAL);
  while (moved < 0 && errno == EINTR);
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
  return (int)moved;
}

static inline int lodge_tls_read(BIO *bio, char *bytes, int count) {
  ssize_t moved;
  BIO_clear_retry_flags(bio);
  do moved = recv((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)count, 0);
  while (moved < 0 && errno == EINTR);
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
  if (moved == 0) errno = 0;
  return (int)moved;
}

static inline long lodge_tls_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

/// OpenSSL's own kind of socket, but without SIGPIPE when the other side has left.
static inline BIO_METHOD *lodge_tls_socket_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lodge socket");
  if (method == NULL) return NULL;
  if (BIO_meth_set_write(method, lodge_tls_write) != 1 ||
      BIO_meth_set_read(method, lodge_tls_read) != 1 ||
      BIO_meth_set_ctrl(method, lodge_tls_control) != 1) {
    BIO_meth_free(method);
    return NULL;
  }
  return method;
}

/// A source and sink of bytes over `descriptor`, which stays open when it is freed.
static inline BIO *lodge_tls_socket(const BIO_METHOD *method, int descriptor) {
  BIO *bio = BIO_new(method);
  if (bio == NULL) return NULL;
  BIO_set_data(bio, (void *)(intptr_t)descriptor);
  BIO_set_init(bio, 1);
  return bio;
}

/// The reason in an error of the queue: 1000 and the number of the alert that the other side sent.
static inline int lodge_tls_reason(unsigned long error) { return ERR_GET_REASON(error); }
