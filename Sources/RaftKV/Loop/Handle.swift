import CLibUV

/// What libuv calls a handle: something open on the loop that calls back until it is closed.
///
/// libuv uses a handle's memory until its close callback, so the loop owns what is open: one retain
/// is taken when the handle is registered and given back in the close callback, where the memory,
/// an allocation of its own, is freed too. Dropping the last reference of ours closes nothing.
///
/// ```
///   new ──register()──▶ open ──close()──▶ closing ──close callback──▶ closed
/// ```
package class Handle {
  enum Phase { case new, open, closing, closed }

  package let loop: EventLoop
  private let memory: UnsafeMutableRawPointer
  private(set) var phase = Phase.new

  /// Takes over `memory`, which the subclass allocated for its kind of handle.
  init(loop: EventLoop, memory: UnsafeMutableRawPointer) {
    self.loop = loop
    self.memory = memory
  }

  deinit {
    switch phase {
    case .new: memory.deallocate()
    case .closed: break
    case .open, .closing: preconditionFailure("a handle dies only after its close callback")
    }
  }

  package var isOpen: Bool { phase == .open }

  private var handle: UnsafeMutablePointer<uv_handle_t> {
    memory.assumingMemoryBound(to: uv_handle_t.self)
  }

  /// To be called right after libuv's init function succeeded: from here on libuv knows the memory.
  final func register() {
    precondition(phase == .new, "a handle is registered once")
    phase = .open
    handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  /// Begins to close; does nothing the second time. Safe inside every callback.
  package func close() {
    guard phase == .open else { return }
    phase = .closing
    uv_close(handle, didCloseMemory)
  }

  /// The end of a turn in which this handle had taken its share.
  func resume() {}

  /// The last event of a handle. Overrides release what the subclass holds and tell its owner.
  func didCloseHandle() {}

  fileprivate func closeCallback() {
    precondition(phase == .closing, "libuv closes only what we asked it to close")
    phase = .closed
    let owned = Unmanaged<Handle>.fromOpaque(handle.pointee.data)
    memory.deallocate()
    didCloseHandle()
    owned.release()
  }

  /// The object that `register()` left in a handle's `data`: whom a callback is for.
  static func owner(_ data: UnsafeMutableRawPointer?) -> Self {
    let owner = Unmanaged<Self>.fromOpaque(data!).takeUnretainedValue()
    owner.loop.didWake()
    return owner
  }
}

private func didCloseMemory(_ handle: UnsafeMutablePointer<uv_handle_t>?) {
  Handle.owner(handle!.pointee.data).closeCallback()
}
