/// The frame that ends a handshake which cannot succeed, with a sentence for the other side's log.
///
/// ```
/// offset  size
///      0     2  code
///      2     6  zero
///      8     8  cluster of the node that refuses, 0: none
///     16     8  its incarnation
///     24     8  its process nonce
///     32     …  the sentence (u16 length and UTF-8)
/// ```
/// Bytes behind these are ignored, and a code we do not know reads as `.other`.
package struct Refusal: Error, Equatable, Sendable {
  package enum Code: UInt16, Sendable, CaseIterable {
    case other = 0
    /// The hello speaks a protocol version that we do not.
    case newerProtocol = 1
    /// The dialler reached itself.
    case selfConnect = 2
    /// Two processes run on copies of one data directory.
    case duplicateIdentity = 3
    case anotherCluster = 4
    /// Another node than the one meant listens here.
    case anotherTarget = 5
    /// The node meant listens here, but with another incarnation: its disk was wiped, or it was
    /// joined anew and the dialler does not know yet.
    case anotherIncarnation = 6
    /// The dialler's name belongs to another incarnation: its disk was wiped, or it was replaced.
    case replaced = 7
    /// The node waits to be joined, and the dialler does not name it as a member.
    case notJoined = 8
    /// A better connection between the same two processes exists.
    case duplicateConnection = 9
    case busy = 10
  }

  package var code: Code
  package var sentence: String
  package var cluster: ClusterID
  package var sender: NodeID
  package var nonce: UInt64

  /// A sentence, not an essay.
  static let maximumSentenceLength = 500

  package init(_ code: Code, _ sentence: String, by local: LocalIdentity) {
    self.code = code
    self.sentence = String(
      decoding: sentence.utf8.prefix(Self.maximumSentenceLength), as: UTF8.self)
    cluster = local.cluster
    sender = local.id
    nonce = local.nonce
  }
}

extension ByteBuffer {
  mutating func appendFrame(_ refusal: Refusal) {
    let start = beginFrame(.refusal)
    append(refusal.code.rawValue)
    append(repeating: 0, count: 6)
    append(refusal.cluster.rawValue)
    append(refusal.sender.rawValue)
    append(refusal.nonce)
    append(lengthPrefixed: refusal.sentence)
    endFrame(from: start)
  }
}

extension Refusal {
  init?(decoding bytes: UnsafeRawBufferPointer) {
    var reader = ByteReader(bytes)
    guard let code = reader.read(UInt16.self), reader.read(count: 6) != nil,
      let cluster = reader.read(UInt64.self), let sender = reader.read(UInt64.self),
      let nonce = reader.read(UInt64.self),
      // Cutting a sentence inside a character may replace its end by three bytes.
      let sentence = reader.readString(limit: Self.maximumSentenceLength + 3)
    else { return nil }
    self.code = Code(rawValue: code) ?? .other
    self.cluster = ClusterID(cluster)
    self.sender = NodeID(sender)
    self.nonce = nonce
    self.sentence = sentence
  }
}
