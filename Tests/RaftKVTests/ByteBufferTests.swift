import Testing

@testable import RaftKV

/// ByteBuffer against an array, ByteReader at every length.
@Suite("ByteBuffer and ByteReader")
struct ByteBufferTests {
  @Test("a buffer is an array that forgets at its front")
  func twin() {
    var random = Random(seed: 11)
    for _ in 0..<100 {
      var buffer = ByteBuffer(capacity: 16)
      var twin: [UInt8] = []
      for _ in 0..<80 {
        switch random.next() % 7 {
        case 0:
          let bytes = (0..<Int(random.next() % 40)).map { UInt8(truncatingIfNeeded: $0) }
          buffer.append(bytes)
          twin += bytes
        case 1:
          let value = UInt32(truncatingIfNeeded: random.next())
          buffer.append(value)
          withUnsafeBytes(of: value.littleEndian) { twin += $0 }
        case 2:
          let count = Int(random.next() % UInt64(twin.count + 1))
          buffer.consume(count)
          twin.removeFirst(count)
        case 3:
          let count = Int(random.next() % UInt64(twin.count + 1))
          buffer.truncate(to: count)
          twin.removeLast(twin.count - count)
        case 4:
          buffer.append(repeating: 9, count: 5)
          twin += [9, 9, 9, 9, 9]
        case 5 where twin.count >= 2:
          let offset = Int(random.next() % UInt64(twin.count - 1))
          buffer.patch(UInt16(0x0102), at: offset)
          twin.replaceSubrange(offset..<offset + 2, with: [2, 1])
        default:
          buffer.append(text: "é")
          twin += Array("é".utf8)
        }
        let bytes = Array(buffer.readable)
        #expect(bytes == twin)
      }
      buffer.clear(keeping: 16)
      let isEmpty = buffer.isEmpty
      #expect(isEmpty)
    }
  }

  @Test("a reader reads what is there, and past no end")
  func reader() {
    var buffer = ByteBuffer()
    buffer.append(UInt8(1))
    buffer.append(UInt16(0x0302))
    buffer.append(UInt64(4))
    buffer.append(lengthPrefixed: "fünf")
    let bytes = Array(buffer.readable)
    for count in 0...bytes.count {
      Array(bytes.prefix(count)).withUnsafeBytes { part in
        var reader = ByteReader(part)
        let first = reader.read(UInt8.self)
        #expect(first == (count >= 1 ? 1 : nil))
        let second = reader.read(UInt16.self)
        #expect(second == (count >= 3 ? 0x0302 : nil))
        let third = reader.read(UInt64.self)
        #expect(third == (count >= 11 ? 4 : nil))
        let text = count >= 11 ? reader.readString(limit: 10) : nil
        #expect(text == (count == bytes.count ? "fünf" : nil))
        #expect(reader.remaining >= 0)
      }
    }
    bytes.withUnsafeBytes {
      var reader = ByteReader($0)
      let negative = reader.read(count: -1)
      #expect(negative == nil && reader.offset == 0)
      _ = reader.read(count: 11)
      let tooLong = reader.readString(limit: 4)
      #expect(tooLong == nil, "longer than its limit")
    }
    ([2, 0, 0xff, 0xfe] as [UInt8]).withUnsafeBytes {
      var reader = ByteReader($0)
      let invalid = reader.readString(limit: 10)
      #expect(invalid == nil, "no UTF-8")
    }
  }
}
