// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Conformance.Bench;
using PasidFramework.Conformance.Running;

namespace PasidFramework.Cli.Verify;

/// <summary>Finds the driver that is to be judged, and everything by which it can be judged.</summary>
internal static class Subject
{
    /// <summary>Whether an argument names a file and not a driver: names have neither slashes nor dots.</summary>
    public static bool IsPath(string argument) =>
        argument.Contains('/', StringComparison.Ordinal) || argument.Contains('.', StringComparison.Ordinal)
        || argument.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <param name="argument">A driver's name, or the path of a file.</param>
    /// <param name="directories">Folders with plug-ins; the default one where there is none.</param>
    /// <exception cref="UsageException">There is no such file.</exception>
    public static PluginCatalog Load(string argument, IReadOnlyList<string> directories)
    {
        if (!IsPath(argument))
        {
            return Plugins.Load(directories);
        }

        if (!File.Exists(argument))
        {
            throw new UsageException(Directory.Exists(argument)
                ? $"{argument} is a directory; expected a driver's name or its DLL"
                : $"there is no file {argument}; expected a driver's name or its DLL");
        }

        return PluginCatalog.LoadFile(argument, directories.Count > 0 ? directories : [Plugins.DefaultDirectory]);
    }

    /// <exception cref="UsageException">It is not there, or it was refused: exit code 3 with the reason.</exception>
    public static LoadedDriver Find(PluginCatalog catalog, string argument)
    {
        if (!IsPath(argument))
        {
            OpResult<LoadedDriver> found = catalog.Find(argument);
            return found.IsOk ? found.Value : throw new UsageException(
                found.Reason!, ExitCode.Plugin, catalog.Refusals.Count > 0 ? $"refused: {catalog.Refusals[0]}" : null);
        }

        string path = Path.GetFullPath(argument);
        if (catalog.Drivers.FirstOrDefault(d => d.Path == path) is { } driver)
        {
            return driver;
        }

        RefusedPlugin? refused = catalog.Refusals.FirstOrDefault(r => r.Path == path);
        throw new UsageException(
            refused is null ? $"{argument} exports no driver: no class has [PasidDriver]" : $"{refused}",
            ExitCode.Plugin);
    }

    /// <param name="backEnds">The back ends; null for the software ones.</param>
    public static DriverUnderTest Of(
        PluginCatalog catalog,
        LoadedDriver driver,
        IReadOnlyDictionary<string, string> options,
        IReadOnlyList<IHardwareBackEnd> backEnds)
    {
        string format = driver.Metadata.TableFormat;
        catalog.TableReaders.TryGetValue(format, out ITableReader? reader);
        return new DriverUnderTest
        {
            Driver = driver.Instance,
            Metadata = driver.Metadata,
            Version = driver.AssemblyVersion.ToString(),
            Hash = DriverDiscovery.HashOf(driver.Path),
            UnitOptions = options,
            Structures = driver.Structures,
            Reader = reader,
            TableFormat = driver.TableFormats.Contains(format) ? catalog.TableFormats[format] : null,
            PageTables = catalog.PageTables,
            BackEnds = backEnds,
        };
    }

    /// <summary>The software model of a driver's architecture, or its own stand-in.</summary>
    public static IHardwareBackEnd Software(PluginCatalog catalog, LoadedDriver driver)
    {
        string architecture = driver.Metadata.TableFormat;
        return SoftwareBackEnds.For(architecture, catalog.Models.GetValueOrDefault(architecture), driver.Instance);
    }
}
