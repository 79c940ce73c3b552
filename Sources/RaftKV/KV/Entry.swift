/// One key with its value, in one allocation. Immutable, so that a reply or a snapshot may keep it
/// while writes go on. Copying an `Entry` copies a reference.
///
/// ```
/// header   createIndex 8 · modifyIndex 8 · value length 4 · key length 2 · field flags 1
/// then     lockIndex 8, flags 8, session 16: each only where its field flag is set
/// then     key, value
/// ```
package struct Entry {
  struct Header {
    let createIndex: LogIndex
    let modifyIndex: LogIndex
    let valueCount: UInt32
    let keyCount: UInt16
    let fields: UInt8
  }

  private let storage: ManagedBuffer<Header, UInt8>

  /// Limits are checked where commands and snapshots are decoded; here they are a broken invariant.
  package init(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, createIndex: LogIndex,
    modifyIndex: LogIndex, attributes: Attributes = .none
  ) {
    precondition(
      key.count <= UInt16.max && value.count <= UInt32.max, "an entry's lengths fit its header")
    let fields = attributes.fields
    let extra = Attributes.size(of: fields)
    storage = .create(minimumCapacity: extra + key.count + value.count) { _ in
      Header(
        createIndex: createIndex, modifyIndex: modifyIndex, valueCount: UInt32(value.count),
        keyCount: UInt16(key.count), fields: fields)
    }
    let tail = bytes
    attributes.store(to: tail)
    if let base = key.baseAddress { (tail + extra).copyMemory(from: base, byteCount: key.count) }
    if let base = value.baseAddress {
      (tail + extra + key.count).copyMemory(from: base, byteCount: value.count)
    }
  }

  /// Immutable, and so read in place: `storage.header` would look for an overlapping access.
  private var header: Header { storage.withUnsafeMutablePointerToHeader { $0.pointee } }

  /// Bytes of key and value.
  package var size: Int { Int(header.keyCount) + Int(header.valueCount) }
  package var createIndex: LogIndex { header.createIndex }
  package var modifyIndex: LogIndex { header.modifyIndex }
  /// Which attributes are set; see `Attributes`.
  package var fields: UInt8 { header.fields }
  package var attributes: Attributes { Attributes(loading: fields, from: bytes) }

  /// The attributes that are set, as stored here and in a snapshot. Valid while this entry lives.
  var encodedAttributes: UnsafeRawBufferPointer {
    .init(start: bytes, count: Attributes.size(of: fields))
  }

  /// Valid while this entry lives.
  package var key: UnsafeRawBufferPointer {
    let header = header
    return .init(start: bytes + Attributes.size(of: header.fields), count: Int(header.keyCount))
  }

  /// Valid while this entry lives.
  package var value: UnsafeRawBufferPointer {
    let header = header
    let offset = Attributes.size(of: header.fields) + Int(header.keyCount)
    return .init(start: bytes + offset, count: Int(header.valueCount))
  }

  private var bytes: UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(storage.withUnsafeMutablePointerToElements { $0 })
  }
}
