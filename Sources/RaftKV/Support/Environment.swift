import Glibc

/// What the process was started with.
package enum Environment {
  package static subscript(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  /// All variables whose name begins with `prefix`, by name.
  package static func variables(prefix: String) -> [String: String] {
    var found: [String: String] = [:]
    var next = environ
    while let text = next.pointee {
      let variable = String(cString: text)
      if variable.hasPrefix(prefix), let equals = variable.firstIndex(of: "=") {
        found[String(variable[..<equals])] = String(variable[variable.index(after: equals)...])
      }
      next += 1
    }
    return found
  }
}
