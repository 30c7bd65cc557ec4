// What one key holder brings to every TLS connection: its key in a certificate made on the spot.

internal import COpenSSL

/// TLS 1.3 with mutual authentication under one private key, for connections in either direction.
///
/// TLS needs certificates, so each side shows one that it has signed itself. All that counts in it
/// is the public key, which the other side must know already; names and dates mean nothing.
@safe public final class TLSContext: @unchecked Sendable {
  let context: OpaquePointer
  public let publicKey: PublicKey

  public init(key: PrivateKey) {
    guard let context = unsafe lodge_tls_context() else {
      preconditionFailure("libssl has no TLS 1.3 with Ed25519")
    }
    unsafe self.context = context
    publicKey = key.publicKey
    unsafe Ed25519.withKey(key.seed) { key in
      let certificate = unsafe TLSContext.certificate(key)
      defer { unsafe X509_free(certificate) }
      unsafe Ed25519.require(SSL_CTX_use_certificate(context, certificate))
      unsafe Ed25519.require(SSL_CTX_use_PrivateKey(context, key))
    }
    unsafe SSL_CTX_set_cert_verify_callback(
      context,
      { store, _ in
        let index = SSL_get_ex_data_X509_STORE_CTX_idx()
        guard let store = unsafe store,
          let ssl = unsafe X509_STORE_CTX_get_ex_data(store, index),
          let owner = unsafe SSL_get_ex_data(OpaquePointer(ssl), TLSSession.ownerIndex)
        else { return 0 }
        let session = unsafe Unmanaged<TLSSession>.fromOpaque(owner).takeUnretainedValue()
        if session.accepts(unsafe offeredKey(store)) { return 1 }
        unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED)
        return 0
      }, nil)
  }

  deinit { unsafe SSL_CTX_free(context) }

  /// A certificate of `key` by itself, valid from 2000 to the end of 9999.
  private static func certificate(_ key: OpaquePointer) -> OpaquePointer {
    guard let certificate = unsafe X509_new(),
      let name = unsafe X509_get_subject_name(certificate)
    else { preconditionFailure("out of memory") }
    let version3 = 2
    unsafe Ed25519.require(X509_set_version(certificate, version3))
    unsafe Ed25519.require(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1))
    unsafe Ed25519.require(
      ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20000101000000Z"))
    unsafe Ed25519.require(
      ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z"))
    unsafe Ed25519.require(
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, "lodge", -1, -1, 0))
    unsafe Ed25519.require(X509_set_issuer_name(certificate, name))
    unsafe Ed25519.require(X509_set_pubkey(certificate, key))
    precondition(unsafe X509_sign(certificate, key, nil) > 0, "cannot sign a certificate")
    return unsafe certificate
  }
}

/// The key in the certificate that the other side shows; nil where it is not Ed25519.
private func offeredKey(_ store: OpaquePointer) -> PublicKey? {
  guard let certificate = unsafe X509_STORE_CTX_get0_cert(store),
    let key = unsafe X509_get0_pubkey(certificate), let bytes = unsafe Ed25519.rawPublicKey(key)
  else { return nil }
  return PublicKey(bytes: bytes)
}
