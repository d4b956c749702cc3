// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Hosting.Plugins;

/// <summary>
/// The plug-ins that were found, loaded and refused. Every plug-in is judged by its file first, without running any of
/// it, and then loaded into a context of its own, so that one bad file neither hides nor harms the others.
/// </summary>
/// <remarks>
/// <para>A plug-in is an assembly with a class that has <see cref="PasidDriverAttribute"/>,
/// <see cref="PasidTableFormatAttribute"/> or <see cref="PasidAllocatorAttribute"/>. It lies in a folder of its own
/// under a searched directory, with its libraries, or loose in the directory itself.</para>
/// <para>Plug-ins import from the host <see cref="Microsoft.Extensions.Logging.ILoggerFactory"/> and
/// <see cref="TimeProvider"/>, and from each other <see cref="IPasidTableFormat"/> by the format's name as contract
/// name, <see cref="IPageTableFormat"/> by <see cref="PageTableFormatAttribute.ImportPrefix"/> and
/// <see cref="ITableReader"/> by <see cref="TableReaderAttribute.ImportPrefix"/>, each with the format's name.</para>
/// <para>Members may be used from several threads. The host must not be trimmed or published as a single file:
/// composition then fails at run time, and the contract has no file to be read from.</para>
/// </remarks>
public sealed class PluginCatalog : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<Plugin> _plugins;
    private ImmutableArray<LoadedDriver> _drivers = [];
    private ImmutableArray<string> _warnings;

    private PluginCatalog(
        List<Plugin> plugins,
        IReadOnlyList<string> directories,
        IReadOnlyList<RefusedPlugin> refusals,
        IEnumerable<string> warnings)
    {
        _plugins = plugins;
        SearchedDirectories = directories;
        Refusals = refusals;
        _warnings = [.. warnings];
        Publish();
    }

    /// <summary>Full paths of the directories that were searched, in the order given.</summary>
    public IReadOnlyList<string> SearchedDirectories { get; }

    /// <summary>The loaded drivers, in ordinal order of their names.</summary>
    public IReadOnlyList<LoadedDriver> Drivers => _drivers;

    /// <summary>The exported table formats by name.</summary>
    public IReadOnlyDictionary<string, IPasidTableFormat> TableFormats { get; private set; }

    /// <summary>The exported allocation policies by name.</summary>
    public IReadOnlyDictionary<string, IPasidAllocatorFactory> Allocators { get; private set; }

    /// <summary>The structures of no vendor and those that the plug-ins export. Where two have one id, the first in
    /// ordinal order of the plug-ins' paths stays and <see cref="Warnings"/> says so.</summary>
    public StructureCatalog Structures { get; private set; }

    /// <summary>The exported software models by the name of their architecture.</summary>
    public IReadOnlyDictionary<string, IIommuModelFactory> Models { get; private set; }

    /// <summary>The exported table readers by the name of their architecture.</summary>
    public IReadOnlyDictionary<string, ITableReader> TableReaders { get; private set; }

    /// <summary>The page table formats by name: those of the framework (<see cref="FrameworkPageTables"/>) and those
    /// that plug-ins export.</summary>
    public IReadOnlyDictionary<string, IPageTableFormat> PageTables { get; private set; }

    /// <summary>What was not loaded, in ordinal order of the paths.</summary>
    public IReadOnlyList<RefusedPlugin> Refusals { get; }

    /// <summary>What was odd and did not prevent loading: one line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Finds and loads the plug-ins of directories.</summary>
    /// <param name="directories">Directories to search, each with its immediate sub-folders. One that does not exist is
    /// a refusal, not an exception. Where two plug-ins have one name, the first in ordinal order of the full paths
    /// wins.</param>
    /// <param name="services">What plug-ins may import; silent logging and the system's clock by default.</param>
    public static PluginCatalog Load(IReadOnlyList<string> directories, PluginHostServices? services = null) =>
        Load(directories, services ?? new PluginHostServices(), HostAssemblies.DefaultShared);

    /// <summary>Loads one file, and beside it the plug-ins of directories, whose formats and models it may
    /// need.</summary>
    /// <param name="path">The file of a plug-in. Whatever has a name that it has, too, is refused in its
    /// favour.</param>
    /// <param name="directories">Directories as for
    /// <see cref="Load(IReadOnlyList{string}, PluginHostServices?)"/>.</param>
    /// <returns>The catalogue; where the file was refused it is among <see cref="Refusals"/> by its full
    /// path.</returns>
    public static PluginCatalog LoadFile(
        string path, IReadOnlyList<string> directories, PluginHostServices? services = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Load(
            directories, services ?? new PluginHostServices(), HostAssemblies.DefaultShared, Path.GetFullPath(path));
    }

    internal static PluginCatalog Load(
        IReadOnlyList<string> directories,
        PluginHostServices services,
        IReadOnlySet<string> shared,
        string? first = null)
    {
        ArgumentNullException.ThrowIfNull(directories);
        ImmutableArray<string> searched =
            [.. directories.Select(directory => Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory)))];
        List<RefusedPlugin> refusals = [];
        List<string> warnings = [];
        HostAssemblies host = new(shared);
        PluginPreflight preflight = new(host, warnings);
        List<Plugin> plugins = [];
        List<AssemblyHeader> candidates = [.. PluginFinder.Find(searched, shared, refusals, warnings)];
        if (first is not null)
        {
            candidates.RemoveAll(candidate => candidate.Path == first);
            refusals.RemoveAll(refusal => refusal.Path == first);
            if (AssemblyHeader.Read(first, out RefusedPlugin? unreadable) is { } header)
            {
                candidates.Insert(0, header);
            }
            else
            {
                refusals.Add(unreadable!);
            }
        }

        foreach (AssemblyHeader header in candidates)
        {
            if (preflight.Inspect(header, out RefusedPlugin? refusal) is { } manifest)
            {
                plugins.Add(new Plugin(manifest));
            }
            else
            {
                refusals.Add(refusal!);
            }
        }

        new PluginComposer(plugins, host, services, refusals, warnings).ComposeAll();
        plugins.RemoveAll(plugin => plugin.State == PluginState.Gone);
        ImmutableArray<RefusedPlugin> ordered =
            [.. refusals.OrderBy(refusal => refusal.Path, StringComparer.Ordinal)];
        return new PluginCatalog(plugins, searched, ordered, warnings);
    }

    /// <returns>The driver; ENOENT with the names that are there.</returns>
    public OpResult<LoadedDriver> Find(string name)
    {
        ImmutableArray<LoadedDriver> drivers = _drivers;
        LoadedDriver? driver = drivers.FirstOrDefault(candidate => candidate.Name == name);
        return driver is not null ? OpResult<LoadedDriver>.Ok(driver)
            : OpResult<LoadedDriver>.Refuse(Missing(name, drivers));
    }

    /// <summary>
    /// Takes a driver away, with everything else that its assembly exports, and unloads its code as soon as nothing
    /// refers to it. The caller has disposed its units first; a unit that is left keeps the code in memory and working.
    /// </summary>
    /// <returns>Success; ENOENT (no such driver); EBUSY where another loaded plug-in imported one of its table
    /// formats.</returns>
    public OpResult Unload(string driverName)
    {
        lock (_gate)
        {
            Plugin? plugin = _plugins.Find(candidate => candidate.Driver?.Name == driverName);
            if (plugin is null)
            {
                return Missing(driverName, _drivers);
            }

            if (_plugins.Find(candidate => candidate.Imports.ContainsValue(plugin)) is { } user)
            {
                string format = user.Imports.First(import => import.Value == plugin).Key;
                string who = user.Driver is { } driver ? $"driver '{driver.Name}'" : user.Manifest.Path;
                return OpResult.Refuse(
                    Errno.EBUSY, $"driver '{driverName}' cannot be unloaded: {who} uses its table format '{format}'");
            }

            _plugins.Remove(plugin);
            Close(plugin);
            Publish();
            return OpResult.Ok;
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            // A plug-in that uses another one's table format may use it while it is being disposed.
            while (_plugins.Count > 0)
            {
                Plugin next = _plugins.Find(plugin => !_plugins.Exists(user => user.Imports.ContainsValue(plugin)))
                    ?? _plugins[0];
                _plugins.Remove(next);
                Close(next);
            }

            Publish();
        }
    }

    private static OpResult Missing(string name, ImmutableArray<LoadedDriver> drivers) => OpResult.Refuse(Errno.ENOENT,
        $"no driver '{name}' is loaded; loaded are: "
            + (drivers.IsEmpty ? "none" : string.Join(", ", drivers.Select(driver => driver.Name))));

    private void Close(Plugin plugin)
    {
        string path = plugin.Manifest.Path;
        if (plugin.Close() is { } thrown)
        {
            _warnings = _warnings.Add(
                $"{path}: {thrown.GetType().FullName}: {AssemblyHeader.OneLine(thrown.Message)} while it was being "
                    + $"unloaded");
        }
    }

    private List<Layout> UniqueLayouts()
    {
        List<Layout> layouts = [.. PcieLayouts.All];
        HashSet<string> ids = new(layouts.Select(layout => layout.Id), StringComparer.Ordinal);
        foreach (Plugin plugin in _plugins)
        {
            foreach (Layout layout in plugin.Extras.Structures.Values.SelectMany(list => list))
            {
                if (ids.Add(layout.Id))
                {
                    layouts.Add(layout);
                    continue;
                }

                string warning = $"{plugin.Manifest.Path}: structure '{layout.Id}' not taken, it is there already";
                if (!_warnings.Contains(warning))
                {
                    _warnings = _warnings.Add(warning);
                }
            }
        }

        return layouts;
    }

    [MemberNotNull(nameof(TableFormats), nameof(Allocators), nameof(Structures), nameof(Models), nameof(TableReaders),
        nameof(PageTables))]
    private void Publish()
    {
        _drivers = [.. _plugins.Select(plugin => plugin.Driver).OfType<LoadedDriver>()
            .OrderBy(driver => driver.Name, StringComparer.Ordinal)];
        TableFormats = _plugins.SelectMany(plugin => plugin.TableFormats).ToFrozenDictionary(StringComparer.Ordinal);
        Allocators = _plugins.SelectMany(plugin => plugin.Allocators).ToFrozenDictionary(StringComparer.Ordinal);
        Models = _plugins.SelectMany(plugin => plugin.Extras.Models).ToFrozenDictionary(StringComparer.Ordinal);
        TableReaders = _plugins.SelectMany(plugin => plugin.Extras.TableReaders)
            .ToFrozenDictionary(StringComparer.Ordinal);
        PageTables = FrameworkPageTables.All.Concat(_plugins.SelectMany(plugin => plugin.Extras.PageTables))
            .ToFrozenDictionary(StringComparer.Ordinal);
        Structures = new StructureCatalog(UniqueLayouts());
    }
}
