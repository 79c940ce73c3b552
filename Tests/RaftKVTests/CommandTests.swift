import RaftKV
import Testing

@Suite("Command")
struct CommandTests {
  @Test("a put and a delete come back as they went, and a put costs less than 24 bytes")
  func roundTrip() throws {
    let key = [UInt8](repeating: 7, count: 16)
    let value = [UInt8](repeating: 9, count: 128)
    let put = encodedPut(key, value, clock: 77)
    #expect(put.count < key.count + value.count + 24)
    try put.withUnsafeBytes { bytes in
      let command = try Command(decoding: bytes)
      #expect(command.kind == .put && command.clock == 77 && command.encodedSize == put.count)
      #expect(Array(command.key) == key && Array(command.value) == value)
    }
    try encodedDelete(key, clock: 78).withUnsafeBytes { bytes in
      let command = try Command(decoding: bytes)
      #expect(command.kind == .delete && command.clock == 78 && Array(command.key) == key)
    }
  }

  @Test("an unknown version, kind, flag or field is an error; an optional field is not")
  func unknown() {
    #expect(error(changing: 0, to: 2) == .unknownVersion(2))
    #expect(error(changing: 1, to: 3) == .unknownKind(3))
    #expect(error(changing: 2, to: 1) == .unknownFlags(1))
    #expect(error(of: encodedPut([1], [2]) + [5, 0, 0, 0, 0]) == .unknownField(5))
    #expect(error(of: encodedPut([1], [2]) + [128, 1, 0, 0, 0, 42]) == nil)
  }

  @Test("every truncation is an error, and so are wrong lengths of keys")
  func malformed() {
    let put = encodedPut([1, 2], [3, 4])
    for count in 0..<put.count { #expect(error(of: Array(put[..<count])) != nil) }
    let header = Array(encodedDelete([1])[..<12])
    #expect(error(of: header + [1, 0, 0, 0, 0]) != nil)
    let longest = [UInt8](repeating: 1, count: 4096)
    #expect(error(of: header + [1, 0x00, 0x10, 0, 0] + longest) == nil)
    #expect(error(of: header + [1, 0x01, 0x10, 0, 0] + longest + [1]) != nil)
    #expect(error(of: encodedDelete([1]) + [1, 1, 0, 0, 0, 9]) != nil)
    #expect(error(of: encodedDelete([1]) + [2, 0, 0, 0, 0]) != nil)
  }

  private func error(changing offset: Int, to byte: UInt8) -> ApplyError? {
    var bytes = encodedPut([1], [2])
    bytes[offset] = byte
    return error(of: bytes)
  }

  private func error(of bytes: [UInt8]) -> ApplyError? {
    withBytes(bytes) { bytes in
      do throws(ApplyError) {
        _ = try Command(decoding: bytes)
        return nil
      } catch {
        return error
      }
    }
  }
}
