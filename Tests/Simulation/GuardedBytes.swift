import Glibc

/// Memory that ends where the bytes in it end: behind them lies a page that nobody may touch, so
/// that a reader that goes one byte too far ends its process. It is lent for one call, and
/// overwritten after it, so that whoever keeps a pointer reads nonsense.
final class GuardedBytes {
  private let base: UnsafeMutableRawPointer
  private let page = Int(sysconf(Int32(_SC_PAGESIZE)))
  /// The most that can be lent at a time, in bytes.
  let capacity = 64 << 10

  init() {
    let memory = mmap(
      nil, capacity + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else { preconditionFailure("no memory for a guard") }
    base = memory
    precondition(mprotect(base + capacity, page, PROT_NONE) == 0, "the guard page is closed")
  }

  deinit { munmap(base, capacity + page) }

  func lend(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
    precondition(bytes.count <= capacity, "fragments are smaller than the memory for them")
    let start = base + (capacity - bytes.count)
    bytes.withUnsafeBytes { source in
      if let address = source.baseAddress {
        start.copyMemory(from: address, byteCount: source.count)
      }
    }
    body(UnsafeRawBufferPointer(start: start, count: bytes.count))
    start.initializeMemory(as: UInt8.self, repeating: 0xa5, count: bytes.count)
  }
}
