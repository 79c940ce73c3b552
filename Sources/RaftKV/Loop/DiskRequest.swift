import CLibUV
import Glibc

/// One operation on libuv's thread pool, from submission to completion. It holds itself while libuv
/// has it, and its completion closure, the disk and the file with it.
final class DiskRequest {
  /// IOV_MAX. libuv would go on with further calls behind this many pieces, and report
  /// only how far it came when one of them fails; so what goes beyond is left to the
  /// caller, as every short count is.
  private static let maximumPieces = 1024

  let file: OpenFile?
  private let disk: UVDisk
  private let operation: DiskOperation
  private let completion: (DiskResult) -> Void
  private let request: UnsafeMutablePointer<uv_fs_t>
  /// What libuv has no request for.
  private let allocation: UnsafeMutablePointer<raftkv_allocation>?
  /// The pieces of a write or a read, alive until the completion.
  private let pieces: UnsafeMutableBufferPointer<uv_buf_t>

  init(
    _ disk: UVDisk, _ operation: DiskOperation, _ completion: @escaping (DiskResult) -> Void
  ) {
    self.disk = disk
    self.operation = operation
    self.completion = completion
    file = operation.file.map(disk.file)
    request = .allocate(capacity: 1)
    if case .allocate(_, let size) = operation {
      let allocation = UnsafeMutablePointer<raftkv_allocation>.allocate(capacity: 1)
      allocation.initialize(to: raftkv_allocation())
      allocation.pointee.descriptor = file!.descriptor
      allocation.pointee.size = Int64(size)
      allocation.pointee.result = UV_ECANCELED.rawValue
      self.allocation = allocation
    } else {
      allocation = nil
    }
    switch operation {
    case .write(_, at: _, let buffers):
      // libuv wants one piece at least; an empty write is one of no bytes.
      pieces = .allocate(capacity: max(min(buffers.count, Self.maximumPieces), 1))
      pieces.initialize(repeating: uv_buf_t())
      for index in 0..<min(buffers.count, pieces.count) { pieces[index] = uv_buf_t(buffers[index]) }
    case .read(_, at: _, let buffer):
      pieces = .allocate(capacity: 1)
      pieces.initialize(repeating: uv_buf_t(UnsafeRawBufferPointer(buffer)))
    default:
      pieces = UnsafeMutableBufferPointer(start: nil, count: 0)
    }
  }

  deinit {
    request.deallocate()
    allocation?.deallocate()
    pieces.deallocate()
  }

  func start() {
    let owner = Unmanaged.passRetained(self).toOpaque()
    request.pointee.data = owner
    allocation?.pointee.work.data = owner
    let status = hand(over: disk.loop.raw)
    precondition(status == 0, "libuv takes every well-formed file request")
  }

  private func hand(over loop: UnsafeMutablePointer<uv_loop_t>) -> Int32 {
    let descriptor = file?.descriptor ?? -1
    let count = UInt32(pieces.count)
    return switch operation {
    case .open(let name, let mode):
      uv_fs_open(loop, request, disk.path(of: name), mode.flags, OpenMode.permissions, didFinish)
    case .write(_, let offset, _):
      uv_fs_write(
        loop, request, descriptor, pieces.baseAddress, count, Int64(offset), didFinish)
    case .read(_, let offset, _):
      uv_fs_read(
        loop, request, descriptor, pieces.baseAddress, count, Int64(offset), didFinish)
    case .sync:
      uv_fs_fdatasync(loop, request, descriptor, didFinish)
    case .truncate(_, let size):
      uv_fs_ftruncate(loop, request, descriptor, Int64(size), didFinish)
    case .allocate: raftkv_allocate(loop, allocation!, didAllocate)
    case .rename(let source, let target):
      uv_fs_rename(loop, request, disk.path(of: source), disk.path(of: target), didFinish)
    case .remove(let name):
      uv_fs_unlink(loop, request, disk.path(of: name), didFinish)
    case .syncDirectory:
      uv_fs_fsync(loop, request, disk.directory, didFinish)
    case .freeSpace:
      uv_fs_statfs(loop, request, disk.path, didFinish)
    }
  }

  /// Called on the loop's thread, with the retain of `start` given back by the caller.
  fileprivate func finished() {
    disk.loop.didWake()
    let result = allocation.map { Int($0.pointee.result) } ?? uv_fs_get_result(request)
    if result == Int(UV_EINTR.rawValue) {
      cleanUp()
      return start()
    }
    let answer = answer(result)
    cleanUp()
    disk.didFinish(self)
    completion(answer)
  }

  private func cleanUp() {
    if allocation == nil { uv_fs_req_cleanup(request) }
  }

  private func answer(_ result: Int) -> DiskResult {
    guard result >= 0 else {
      return .failure(DiskError(operation: description, code: Int32(-result)))
    }
    switch operation {
    case .open(let name, _):
      return .success(Int(disk.register(Int32(result), name).rawValue))
    case .freeSpace:
      let status = uv_fs_get_ptr(request).assumingMemoryBound(to: uv_statfs_t.self)
      // A file system without bounds may say whatever it likes.
      let free = Int(clamping: status.pointee.f_bavail)
        .multipliedReportingOverflow(by: disk.fragmentSize)
      return .success(free.overflow ? .max : free.partialValue)
    default:
      return .success(result)
    }
  }

  /// For the one line an operator reads.
  private var description: String {
    switch operation {
    case .open(let name, _): "open \(name)"
    case .write: "write \(file!.name)"
    case .read: "read \(file!.name)"
    case .sync: "sync \(file!.name)"
    case .truncate: "truncate \(file!.name)"
    case .allocate: "allocate \(file!.name)"
    case .rename(let source, let target): "rename \(source) to \(target)"
    case .remove(let name): "remove \(name)"
    case .syncDirectory: "sync \(disk.path)"
    case .freeSpace: "statfs \(disk.path)"
    }
  }
}

extension DiskOperation {
  /// The open file it is about, if any.
  fileprivate var file: FileID? {
    switch self {
    case .write(let file, at: _, _), .read(let file, at: _, _), .sync(let file),
      .truncate(let file, to: _), .allocate(let file, _):
      file
    case .open, .rename, .remove, .syncDirectory, .freeSpace: nil
    }
  }
}

extension OpenMode {
  /// Nobody but us reads the data: it holds whatever the clients' values are.
  static let permissions: Int32 = 0o600

  var flags: Int32 {
    switch self {
    case .read: O_RDONLY | O_CLOEXEC
    case .durable: O_RDWR | O_DSYNC | O_CLOEXEC
    case .create: O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC
    }
  }
}

private func didFinish(_ request: UnsafeMutablePointer<uv_fs_t>?) {
  Unmanaged<DiskRequest>.fromOpaque(request!.pointee.data).takeRetainedValue().finished()
}

private func didAllocate(_ work: UnsafeMutablePointer<uv_work_t>?, _: Int32) {
  Unmanaged<DiskRequest>.fromOpaque(work!.pointee.data).takeRetainedValue().finished()
}
