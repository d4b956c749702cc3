// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A correct driver that uses a library of its own. Composition does not ask for public parts.</summary>
[PasidDriver("good", GoodTableFormat.FormatName, 16, Vendor = "Tests")]
internal sealed class GoodDriver : MinimalDriver, IDisposable
{
    /// <summary>Tells the host, which must not touch this class's code, that the part was disposed.</summary>
    public void Dispose() => AppContext.SetData($"{GetType().Assembly.Location}#{nameof(GoodDriver)}", "disposed");

    protected override string UnitName(string name)
    {
        // For the test of a host that must not be taken in by that.
        if (Environment.GetEnvironmentVariable("PASID_TEST_DRIVER_EXITS") == "1")
        {
            Environment.Exit(0);
        }

        return Naming.Prefixed(name);
    }
}
