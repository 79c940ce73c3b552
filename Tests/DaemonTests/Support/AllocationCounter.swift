import Glibc

/// Counts what one process asks the allocator for, through `Tests/Allocations/count.c`, which is
/// compiled here and preloaded there. The counter is a file that both sides map.
final class AllocationCounter {
  /// What the process is to be started with.
  let environment: [String: String]
  private let counters: UnsafeMutableRawPointer

  init(in directory: String, _ number: Int) throws {
    let library = "\(directory)/count-\(number).so"
    let source = "\(Checkout.root)/Tests/Allocations/count.c"
    let built = try Shell.run("cc -O2 -shared -fPIC -Wall -Wextra -Werror -o \(library) \(source)")
    guard built.code == 0 else { throw ClientError.malformed("count.c: \(built.output)") }
    let path = "\(directory)/allocations-\(number)"
    let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0, ftruncate(file, Self.size) == 0 else { throw ClientError.system(path, errno) }
    defer { close(file) }
    let mapped = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    guard let mapped, mapped != MAP_FAILED else { throw ClientError.system("mmap", errno) }
    counters = mapped
    environment = ["LD_PRELOAD": library, "ALLOCATIONS": path]
  }

  deinit { munmap(counters, Self.size) }

  private static let size = 4096

  /// Allocations since the process started, by all of its threads.
  var count: Int64 { counters.load(as: Int64.self) }
}
