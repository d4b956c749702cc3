// SPDX-License-Identifier: Apache-2.0
using System.Runtime.Loader;

namespace PasidFramework.Hosting.Tests;

/// <summary>A directory of plug-ins for each test, and what a host finds in it.</summary>
public abstract class PluginTests : IDisposable
{
    private readonly List<PluginFolder> _others = [];
    private readonly Lazy<PluginCatalog> _catalog;
    private protected PluginTests() => _catalog = new(() => Folder.Load());
    private protected PluginFolder Folder { get; } = new();

    /// <summary>What is in the directory when this is first asked for.</summary>
    private protected PluginCatalog Catalog => _catalog.Value;

    public void Dispose()
    {
        if (_catalog.IsValueCreated)
        {
            Catalog.Dispose();
        }

        Folder.Dispose();
        _others.ForEach(other => other.Dispose());
        GC.SuppressFinalize(this);
    }

    /// <summary>A further directory, for what must not be searched.</summary>
    private protected PluginFolder Elsewhere()
    {
        _others.Add(new PluginFolder());
        return _others[^1];
    }

    /// <summary>An assembly with one fault is refused, loads nothing and leaves no context.</summary>
    private protected void AssertRefused(EmittedAssembly emitted, RefusalReason reason, string message)
    {
        string path = emitted.Save(Path.Combine(Folder.Root, "emitted", "Emitted.dll"));
        AssertRefused(path, reason, message);
        Assert.Empty(Catalog.Drivers);
        Assert.DoesNotContain(AssemblyLoadContext.All, context => context.Name == path);
    }

    private protected void AssertRefused(string path, RefusalReason reason, string message)
    {
        Assert.Equal(message, AssertRefused(path, reason).Message);
        Assert.Equal($"{path}: {message}", Catalog.Refusals[0].ToString());
    }

    private protected RefusedPlugin AssertRefused(string path, RefusalReason reason)
    {
        RefusedPlugin refusal = Assert.Single(Catalog.Refusals);
        Assert.Equal((path, reason), (refusal.Path, refusal.Reason));
        return refusal;
    }

    private protected LoadedDriver AssertLoaded(string name)
    {
        LoadedDriver driver = Assert.Single(Catalog.Drivers);
        Assert.Equal(name, driver.Name);
        return driver;
    }

    private protected void AssertOneLineEach(PluginCatalog? catalog = null)
    {
        Assert.All((catalog ?? Catalog).Refusals, refusal => Assert.DoesNotContain('\n', refusal.ToString()));
        Assert.All((catalog ?? Catalog).Warnings, warning => Assert.DoesNotContain('\n', warning));
    }
}
