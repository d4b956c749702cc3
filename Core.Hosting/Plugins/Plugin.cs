// SPDX-License-Identifier: Apache-2.0
using System.Composition.Hosting;

namespace PasidFramework.Hosting.Plugins;

internal enum PluginState
{
    /// <summary>Judged by its file only.</summary>
    Found,

    /// <summary>On its way: table formats may be there already, its driver is not.</summary>
    Composing,

    /// <summary>All of its exports are there.</summary>
    Loaded,

    /// <summary>Refused or unloaded.</summary>
    Gone,
}

/// <summary>One plug-in on its way through the catalogue. It is loaded as a whole or not at all.</summary>
internal sealed class Plugin(PluginManifest manifest)
{
    public PluginManifest Manifest { get; } = manifest;
    public PluginState State { get; set; }
    public PluginLoadContext? Context { get; set; }
    public CompositionHost? Container { get; set; }
    public LoadedDriver? Driver { get; set; }
    public Dictionary<string, IPasidTableFormat> TableFormats { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, IPasidAllocatorFactory> Allocators { get; } = new(StringComparer.Ordinal);

    /// <summary>Structures, models, readers and page tables: what helps people and tests, beside the driver.</summary>
    public PluginExtras Extras { get; } = new();

    /// <summary>Table formats that it was given, with the plug-in that exports each.</summary>
    public SortedDictionary<string, Plugin> Imports { get; } = new(StringComparer.Ordinal);

    /// <summary>Table formats that it asked for and that are not there.</summary>
    public SortedSet<string> Missing { get; } = new(StringComparer.Ordinal);

    /// <summary>What of it has the same name as something of another plug-in; null where nothing has.</summary>
    public string? SharedName(Plugin other)
    {
        if (Manifest.Driver is { } driver && driver.Name == other.Manifest.Driver?.Name)
        {
            return $"driver '{driver.Name}'";
        }

        if (Manifest.TableFormats.Intersect(other.Manifest.TableFormats).FirstOrDefault() is { } format)
        {
            return $"table format '{format}'";
        }

        return Manifest.Allocators.Intersect(other.Manifest.Allocators).FirstOrDefault() is { } allocator
            ? $"allocator '{allocator}'"
            : null;
    }

    /// <summary>Lets go of everything that keeps its code in memory.</summary>
    /// <returns>What its parts threw when they were disposed; null if nothing.</returns>
    public Exception? Close()
    {
        State = PluginState.Gone;
        Driver?.Forget();
        Driver = null;
        TableFormats.Clear();
        Allocators.Clear();
        Extras.Clear();
        Imports.Clear();
        Exception? thrown = null;
        try
        {
            Container?.Dispose();
        }
#pragma warning disable CA1031 // The plug-in's own code: whatever it throws, it must not keep the plug-in loaded.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            thrown = exception;
        }

        Container = null;
        Context?.Unload();
        Context = null;
        return thrown;
    }
}
