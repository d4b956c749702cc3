// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Hosting.Plugins;

/// <summary>The page table formats that the framework itself exports: those of CPUs, which no vendor owns.</summary>
public static class FrameworkPageTables
{
    public static IReadOnlyDictionary<string, IPageTableFormat> All { get; } = CpuPageTables.All.ToFrozenDictionary(
        format => format.Name, IPageTableFormat (format) => format, StringComparer.Ordinal);
}
