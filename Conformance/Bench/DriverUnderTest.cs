// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>A driver, with everything by which it can be judged.</summary>
public sealed record DriverUnderTest
{
    public required IPasidDriver Driver { get; init; }
    public required DriverMetadata Metadata { get; init; }
    public string Version { get; init; } = string.Empty;

    /// <summary>SHA-256 of its file in lower-case hexadecimal; empty where it came from no file.</summary>
    public string Hash { get; init; } = string.Empty;

    /// <summary>Settings of its units by name, such as the dialect it speaks.</summary>
    public IReadOnlyDictionary<string, string> UnitOptions { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<Layout> Structures { get; init; } = [];

    /// <summary>The reader of its tables; null where none is exported.</summary>
    public ITableReader? Reader { get; init; }

    /// <summary>The writer of its table format, where it is exported.</summary>
    public IPasidTableFormat? TableFormat { get; init; }

    public IReadOnlyDictionary<string, IPageTableFormat> PageTables { get; init; } =
        new Dictionary<string, IPageTableFormat>();

    /// <summary>The back ends that it is judged on, by name each once.</summary>
    public required IReadOnlyList<IHardwareBackEnd> BackEnds { get; init; }
}
