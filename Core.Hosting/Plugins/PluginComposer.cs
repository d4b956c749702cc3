// SPDX-License-Identifier: Apache-2.0
using System.Composition.Hosting;
using System.Reflection;

namespace PasidFramework.Hosting.Plugins;

/// <summary>Loads judged plug-ins, each in its own context and container.</summary>
internal sealed class PluginComposer(
    IReadOnlyList<Plugin> plugins,
    HostAssemblies host,
    PluginHostServices services,
    ICollection<RefusedPlugin> refusals,
    ICollection<string> warnings)
{
    /// <summary>Composes every plug-in, in ordinal order of their paths.</summary>
    public void ComposeAll()
    {
        foreach (Plugin plugin in plugins)
        {
            Compose(plugin);
        }
    }

    private void Compose(Plugin plugin)
    {
        if (plugin.State != PluginState.Found)
        {
            return;
        }

        plugin.State = PluginState.Composing;
        RefusedPlugin? refusal = CheckNames(plugin) ?? Load(plugin);
        if (refusal is null)
        {
            plugin.State = PluginState.Loaded;
        }
        else
        {
            Refuse(plugin, refusal);
        }
    }

    // A plug-in that was given something of one that is refused after all must go with it.
    private void Refuse(Plugin plugin, RefusedPlugin refusal)
    {
        refusals.Add(refusal);
        if (plugin.Close() is { } thrown)
        {
            warnings.Add($"{plugin.Manifest.Path}: {Describe(thrown)} while it was being taken away");
        }

        foreach (Plugin user in plugins)
        {
            if (user.State == PluginState.Gone || !user.Imports.ContainsValue(plugin))
            {
                continue;
            }

            string format = user.Imports.First(import => import.Value == plugin).Key;
            Refuse(user, new RefusedPlugin(user.Manifest.Path, RefusalReason.UnsatisfiedImport,
                $"imports table format '{format}' of {plugin.Manifest.Path}, which was refused"));
        }
    }

    private RefusedPlugin? CheckNames(Plugin plugin)
    {
        foreach (Plugin earlier in plugins.TakeWhile(candidate => candidate != plugin))
        {
            if (plugin.SharedName(earlier) is not { } name)
            {
                continue;
            }

            // The earlier one has the right to the name, if it can be loaded.
            Compose(earlier);
            if (earlier.State != PluginState.Gone)
            {
                return new RefusedPlugin(plugin.Manifest.Path, RefusalReason.DuplicateName,
                    $"{name} is there already, from {earlier.Manifest.Path} (the first path in ordinal order wins)");
            }
        }

        return null;
    }

    private RefusedPlugin? Load(Plugin plugin)
    {
        PluginManifest manifest = plugin.Manifest;
        string stage = "loading its assembly";
        try
        {
            plugin.Context = new PluginLoadContext(manifest.Path, manifest.Resolver, host.Shared);
            Assembly assembly = plugin.Context.LoadFromAssemblyPath(manifest.Path);
            stage = "reading its parts";
            plugin.Container = new ContainerConfiguration()
                .WithAssembly(assembly)
                .WithExport(services.LoggerFactory)
                .WithExport(services.Time)
                .WithProvider(new ForeignFormats(plugin, FindFormat, FindPages, FindReader))
                .CreateContainer();
            foreach (string name in manifest.TableFormats)
            {
                stage = $"making table format '{name}'";
                if (ComposeFormat(plugin, assembly, name) is { } refusal)
                {
                    return refusal;
                }
            }

            foreach (string name in manifest.Allocators)
            {
                stage = $"making allocator '{name}'";
                if (ComposeAllocator(plugin, assembly, name) is { } refusal)
                {
                    return refusal;
                }
            }

            stage = "making what it exports beside its driver";
            ComposeExtras(plugin);
            stage = $"making driver '{manifest.Driver?.Name}'";
            return manifest.Driver is null ? null : ComposeDriver(plugin, assembly, manifest.Driver);
        }
#pragma warning disable CA1031 // The plug-in's own code runs here: whatever it throws is a line about it, not our end.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return Explain(plugin, stage, exception);
        }
    }

    private static RefusedPlugin? ComposeFormat(Plugin plugin, Assembly assembly, string name)
    {
        IPasidTableFormat[] formats = [.. plugin.Container!.GetExports<IPasidTableFormat>(name)];
        if (formats.Length != 1)
        {
            return WrongCount(plugin, assembly, typeof(IPasidTableFormat), $"table format '{name}'", formats.Length);
        }

        if (formats[0].Name != name)
        {
            return new RefusedPlugin(plugin.Manifest.Path, RefusalReason.InvalidExport,
                $"table format '{name}' calls itself '{formats[0].Name}': the same name is expected");
        }

        plugin.TableFormats.Add(name, formats[0]);
        return null;
    }

    private void ComposeExtras(Plugin plugin)
    {
        Collect<IStructureProvider, IReadOnlyList<Layout>>(plugin, "structures", x => x.Structures, Copy);
        Collect(plugin, "model", x => x.Models, (IIommuModelFactory factory, string _) => factory);
        Collect(plugin, "table reader", x => x.TableReaders, (ITableReader reader, string name) =>
            SameName(reader, reader.Name, name));
        Collect(plugin, "page tables", x => x.PageTables, (IPageTableFormat format, string name) =>
            SameName(format, format.Name, name));
    }

    // The list is the plug-in's own: what is wrong with it must show here, where it is a line about that plug-in.
    private static Layout[] Copy(IStructureProvider provider, string name)
    {
        Layout[] layouts = [.. provider.Layouts ?? throw new RefusedExportException(RefusalReason.InvalidExport,
            $"structures '{name}' are null")];
        return Array.IndexOf(layouts, null) is >= 0 and int at
            ? throw new RefusedExportException(RefusalReason.InvalidExport, $"structure {at} of '{name}' is null")
            : layouts;
    }

    private static T SameName<T>(T export, string own, string stated) => own == stated
        ? export
        : throw new RefusedExportException(RefusalReason.InvalidExport,
            $"'{stated}' calls itself '{own}': the same name is expected");

    // They are found by their metadata's name. One that is there already stays, as everywhere: the first path wins.
    private void Collect<TExport, T>(
        Plugin plugin, string what, Func<PluginExtras, Dictionary<string, T>> table, Func<TExport, string, T> value)
        where TExport : class
    {
        foreach (Lazy<TExport, IDictionary<string, object>> export in
            plugin.Container!.GetExports<Lazy<TExport, IDictionary<string, object>>>())
        {
            if (!export.Metadata.TryGetValue("Name", out object? stated) || stated is not string { Length: > 0 } name)
            {
                warnings.Add(
                    $"{plugin.Manifest.Path}: {what} without a name (class {export.Value.GetType().FullName})");
                continue;
            }

            Plugin? owner = plugins.FirstOrDefault(
                other => other.State != PluginState.Gone && table(other.Extras).ContainsKey(name));
            bool isPages = typeof(TExport) == typeof(IPageTableFormat);
            bool isFrameworks = isPages && FrameworkPageTables.All.ContainsKey(name);
            if (isFrameworks || (owner is not null && isPages))
            {
                string from = isFrameworks ? "the framework itself"
                    : $"{owner!.Manifest.Path} (the first path in ordinal order wins)";
                throw new RefusedExportException(
                    RefusalReason.DuplicateName, $"{what} '{name}' are there already, from {from}");
            }

            if (owner is not null)
            {
                warnings.Add(
                    $"{plugin.Manifest.Path}: {what} '{name}' not taken, it is there from {owner.Manifest.Path}");
                continue;
            }

            table(plugin.Extras).Add(name, value(export.Value, name));
        }
    }

    private static RefusedPlugin? ComposeAllocator(Plugin plugin, Assembly assembly, string name)
    {
        Lazy<IPasidAllocatorFactory, IDictionary<string, object>>[] factories =
        [
            .. plugin.Container!.GetExports<Lazy<IPasidAllocatorFactory, IDictionary<string, object>>>()
                .Where(export => export.Metadata.TryGetValue(nameof(PasidAllocatorAttribute.Name), out object? stated)
                    && Equals(stated, name)),
        ];
        if (factories.Length != 1)
        {
            return WrongCount(plugin, assembly, typeof(IPasidAllocatorFactory), $"allocator '{name}'",
                factories.Length);
        }

        plugin.Allocators.Add(name, factories[0].Value);
        return null;
    }

    private static RefusedPlugin? ComposeDriver(Plugin plugin, Assembly assembly, DriverMetadata declared)
    {
        Lazy<IPasidDriver, DriverMetadata>[] drivers =
            [.. plugin.Container!.GetExports<Lazy<IPasidDriver, DriverMetadata>>()];
        if (drivers.Length != 1)
        {
            return WrongCount(plugin, assembly, typeof(IPasidDriver), $"driver '{declared.Name}'", drivers.Length);
        }

        plugin.Driver = new LoadedDriver(
            plugin.Manifest.Path,
            assembly.GetName().Version ?? new Version(0, 0),
            declared,
            drivers[0].Value,
            plugin.Manifest.TableFormats,
            [.. plugin.Imports.Keys],
            [.. plugin.Extras.Structures.Values.SelectMany(layouts => layouts)]);
        return null;
    }

    // The file promised the export, so if composition finds none, the two sides mean different types by one name.
    private static RefusedPlugin WrongCount(Plugin plugin, Assembly assembly, Type contract, string what, int count)
    {
        if (count > 1)
        {
            return new RefusedPlugin(plugin.Manifest.Path, RefusalReason.InvalidExport,
                $"{what} was found {count} times in its assembly: one is the limit");
        }

        Assembly? theirs = plugin.Context?.Assemblies.FirstOrDefault(loaded =>
            loaded != assembly
                && loaded.GetName().Name is HostAssemblies.ContractName or "System.Composition.AttributedModel");
        string difference = theirs is null
            ? $"its reference is {assembly.GetReferencedAssemblies().FirstOrDefault(IsContract)?.FullName ?? "missing"}"
            : $"its own copy {theirs.FullName} was loaded from {theirs.Location}";
        return new RefusedPlugin(plugin.Manifest.Path, RefusalReason.ContractNotShared,
            $"{what} is exported by the file, yet composition found none: {difference}, while {contract.FullName} of "
                + $"the host is of {contract.Assembly.FullName} from {contract.Assembly.Location}");
    }

    private static bool IsContract(AssemblyName name) => name.Name == HostAssemblies.ContractName;

    private IPasidTableFormat? FindFormat(Plugin importer, string name)
    {
        foreach (Plugin candidate in plugins)
        {
            if (candidate == importer || !candidate.Manifest.TableFormats.Contains(name))
            {
                continue;
            }

            Compose(candidate);
            if (candidate.State != PluginState.Gone
                && candidate.TableFormats.TryGetValue(name, out IPasidTableFormat? format))
            {
                importer.Imports[name] = candidate;
                return format;
            }
        }

        importer.Missing.Add(name);
        return null;
    }

    private IPageTableFormat? FindPages(Plugin importer, string name) =>
        FrameworkPageTables.All.TryGetValue(name, out IPageTableFormat? format) ? format
            : FindExtra(importer, PageTableFormatAttribute.ImportPrefix, name, extras => extras.PageTables);

    private ITableReader? FindReader(Plugin importer, string name) =>
        FindExtra(importer, TableReaderAttribute.ImportPrefix, name, extras => extras.TableReaders);

    // A file does not say which of these it exports, so those that may have them are composed first. Their order stays:
    // of one name the first path wins.
    private T? FindExtra<T>(Plugin importer, string prefix, string name,
        Func<PluginExtras, Dictionary<string, T>> table)
        where T : class
    {
        foreach (Plugin candidate in plugins.Where(other => other != importer))
        {
            Compose(candidate);
            if (candidate.State != PluginState.Gone && table(candidate.Extras).TryGetValue(name, out T? found))
            {
                importer.Imports[prefix + name] = candidate;
                return found;
            }
        }

        importer.Missing.Add(prefix + name);
        return null;
    }

    private static RefusedPlugin Explain(Plugin plugin, string stage, Exception exception)
    {
        (RefusalReason reason, string message) = exception switch
        {
            // An optional format may be missing as well; the one that is to blame stands in the text.
            CompositionFailedException when plugin.Missing.FirstOrDefault(name =>
                exception.Message.Contains($"\"{name}\"", StringComparison.Ordinal)) is { } format => (
                    RefusalReason.UnsatisfiedImport,
                    $"{stage} failed: it imports table format '{format}', which no loaded plug-in exports "
                        + $"({AssemblyHeader.OneLine(exception.Message)})"),
            CompositionFailedException => (
                RefusalReason.UnsatisfiedImport, $"{stage} failed: {AssemblyHeader.OneLine(exception.Message)}"),
            ReflectionTypeLoadException types => (
                RefusalReason.TypeLoadFailed,
                $"{stage} failed: "
                    + $"{Describe(types.LoaderExceptions.FirstOrDefault(inner => inner is not null) ?? types)}"),
            BadImageFormatException => (
                RefusalReason.NotAnAssembly, $"{stage} failed: not a valid .NET assembly ({Describe(exception)})"),
            FileNotFoundException { FileName: { } file } when IsAssemblyName(file) => (
                RefusalReason.MissingDependency, $"{stage} failed: needs {file}, which is not there"),
            TypeLoadException or MissingMemberException or FileLoadException => (
                RefusalReason.TypeLoadFailed, $"{stage} failed: {Describe(exception)}"),
            TypeInitializationException { InnerException: { } inner } => (
                RefusalReason.ConstructorThrew, $"{stage} failed: its static initialiser threw {Describe(inner)}"),
            RefusedExportException refused => (refused.Reason, exception.Message),
            _ => (RefusalReason.ConstructorThrew, $"{stage} failed: it threw {Describe(exception)}"),
        };
        return new RefusedPlugin(plugin.Manifest.Path, reason, message);
    }

    // The runtime names an assembly there, a plug-in's own code a file.
    private static bool IsAssemblyName(string file) => file.Contains(", Version=", StringComparison.Ordinal);

    private static string Describe(Exception exception) =>
        $"{exception.GetType().FullName}: {AssemblyHeader.OneLine(exception.Message)}";

    /// <summary>An export says or holds what cannot be, or has a name that is taken.</summary>
    private sealed class RefusedExportException(RefusalReason reason, string message) : Exception(message)
    {
        public RefusalReason Reason => reason;
    }
}
