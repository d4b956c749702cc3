// SPDX-License-Identifier: Apache-2.0
using System.Reflection;

namespace PasidFramework.Hosting.Tests;

/// <summary>A directory of plug-ins for one test.</summary>
internal sealed class PluginFolder : IDisposable
{
    private static readonly string s_root = Metadata("TestDriverRoot");
    private static readonly string s_configuration = Metadata("TestDriverConfiguration");
    public PluginFolder() => Root = Directory.CreateTempSubdirectory("pasid-plugins-").FullName;
    public string Root { get; }

    /// <summary>Where the build put a test driver's files.</summary>
    public static string Built(string driver) => Path.Combine(s_root, $"TestDrivers.{driver}", s_configuration);

    public static string FileName(string driver) => $"PasidFramework.TestDrivers.{driver}.dll";

    /// <summary>Copies a test driver with everything that belongs to it.</summary>
    /// <returns>The path of its assembly.</returns>
    public string Add(string driver, string? folder = null)
    {
        string target = Directory.CreateDirectory(Path.Combine(Root, folder ?? driver)).FullName;
        foreach (string file in Directory.EnumerateFiles(Built(driver)))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }

        return Path.Combine(target, FileName(driver));
    }

    /// <summary>Copies nothing but the assembly, straight into the directory, as a person would by hand.</summary>
    public string AddLoose(string driver)
    {
        string target = Path.Combine(Root, FileName(driver));
        File.Copy(Path.Combine(Built(driver), FileName(driver)), target);
        return target;
    }

    public string AddFile(string relativePath, byte[] content)
    {
        string path = Path.Combine(Root, relativePath);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
        return path;
    }

    public PluginCatalog Load(PluginHostServices? services = null) => PluginCatalog.Load([Root], services);
    public void Dispose() => Directory.Delete(Root, recursive: true);

    private static string Metadata(string key) => typeof(PluginFolder).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
