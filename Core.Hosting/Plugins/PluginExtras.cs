// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Hosting.Plugins;

/// <summary>What a plug-in exports beside drivers, table formats and allocators.</summary>
internal sealed class PluginExtras
{
    public Dictionary<string, IReadOnlyList<Layout>> Structures { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, IIommuModelFactory> Models { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, ITableReader> TableReaders { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, IPageTableFormat> PageTables { get; } = new(StringComparer.Ordinal);

    public void Clear()
    {
        Structures.Clear();
        Models.Clear();
        TableReaders.Clear();
        PageTables.Clear();
    }
}
