// SPDX-License-Identifier: Apache-2.0
using System.Reflection;

namespace PasidFramework.Cli.Verify;

internal static class QemuHome
{
    /// <summary>PASID_QEMU_HOME, or the folder of the source tree that <c>eng/install-qemu</c> fills.</summary>
    public static string Path => Environment.GetEnvironmentVariable("PASID_QEMU_HOME") is { Length: > 0 } home
        ? home
        : typeof(QemuHome).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .First(a => a.Key == "QemuHome").Value!;
}
