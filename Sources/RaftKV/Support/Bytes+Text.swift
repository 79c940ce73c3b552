import Glibc

extension UnsafeRawBufferPointer {
  func equals(_ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    return count == 0 || memcmp(baseAddress!, text.utf8Start, count) == 0
  }
}
