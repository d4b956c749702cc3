// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using System.Runtime.Loader;

namespace PasidFramework.Hosting.Plugins;

/// <summary>
/// The load context of one plug-in. The contract and what it needs come from the host, so that a type means the same on
/// both sides; everything else comes from beside the plug-in, so that two plug-ins may use two versions of one library.
/// </summary>
internal sealed class PluginLoadContext : AssemblyLoadContext
{
    private readonly AssemblyDependencyResolver? _resolver;
    private readonly string _folder;
    private readonly IReadOnlySet<string> _shared;

    public PluginLoadContext(string path, AssemblyDependencyResolver? resolver, IReadOnlySet<string> shared)
        : base(path, isCollectible: true)
    {
        _resolver = resolver;
        _folder = Path.GetDirectoryName(path)!;
        _shared = shared;
    }

    /// <summary>
    /// Where a private assembly lies: by the plug-in's .deps.json, or by name beside it where that file is missing or
    /// wrong. Null means that the host is asked.
    /// </summary>
    public static string? FindPrivate(AssemblyDependencyResolver? resolver, string folder, AssemblyName name)
    {
        string? path = resolver?.ResolveAssemblyToPath(name);
        if (path is null && resolver is null && name.Name is not null && string.IsNullOrEmpty(name.CultureName))
        {
            path = Path.Combine(folder, name.Name + ".dll");
        }

        return path is not null && File.Exists(path) ? path : null;
    }

    protected override Assembly? Load(AssemblyName assemblyName)
    {
        if (assemblyName.Name is not null && _shared.Contains(assemblyName.Name))
        {
            return null;
        }

        string? path = FindPrivate(_resolver, _folder, assemblyName);
        return path is null ? null : LoadFromAssemblyPath(path);
    }

    protected override nint LoadUnmanagedDll(string unmanagedDllName)
    {
        string? path = _resolver?.ResolveUnmanagedDllToPath(unmanagedDllName);
        return path is null ? 0 : LoadUnmanagedDllFromPath(path);
    }
}
