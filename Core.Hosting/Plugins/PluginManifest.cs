// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using System.Runtime.Loader;

namespace PasidFramework.Hosting.Plugins;

/// <summary>What a plug-in's file says of itself, read without running it.</summary>
internal sealed record PluginManifest(
    string Path,
    AssemblyName Name,
    DriverMetadata? Driver,
    string? DriverType,
    IReadOnlyList<string> TableFormats,
    IReadOnlyList<string> Allocators,
    AssemblyDependencyResolver? Resolver);
