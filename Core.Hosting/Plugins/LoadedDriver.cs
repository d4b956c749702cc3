// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace PasidFramework.Hosting.Plugins;

/// <summary>A vendor's driver that was loaded from a file.</summary>
[DebuggerDisplay("{Name} ({Path})")]
public sealed class LoadedDriver
{
    private volatile IPasidDriver? _instance;

    internal LoadedDriver(
        string path,
        Version assemblyVersion,
        DriverMetadata metadata,
        IPasidDriver instance,
        IReadOnlyList<string> tableFormats,
        IReadOnlyList<string> importedTableFormats,
        IReadOnlyList<Layout> structures)
    {
        Structures = structures;
        Path = path;
        AssemblyVersion = assemblyVersion;
        Metadata = metadata;
        _instance = instance;
        TableFormats = tableFormats;
        ImportedTableFormats = importedTableFormats;
    }

    /// <summary>The driver's name as users type it.</summary>
    public string Name => Metadata.Name;

    /// <summary>
    /// What it says of itself. The contract's major version is the one of the Core that it was compiled against, unless
    /// it states one; its minor version is 0 unless stated.
    /// </summary>
    public DriverMetadata Metadata { get; }

    public string Path { get; }
    public Version AssemblyVersion { get; }

    /// <summary>Names of the table formats that its assembly exports, in ordinal order.</summary>
    public IReadOnlyList<string> TableFormats { get; }

    /// <summary>
    /// Contract names of the table formats and page table formats of other plug-ins that it was given, in ordinal
    /// order. While it is loaded, those plug-ins cannot be unloaded.
    /// </summary>
    public IReadOnlyList<string> ImportedTableFormats { get; }

    /// <summary>The structures that its assembly exports, as it exports them.</summary>
    public IReadOnlyList<Layout> Structures { get; }

    /// <exception cref="ObjectDisposedException">
    /// The driver was unloaded: a reference kept here would keep its code in memory.
    /// </exception>
    public IPasidDriver Instance => _instance ?? throw new ObjectDisposedException(Name, "The driver was unloaded.");

    internal void Forget() => _instance = null;
}
