// SPDX-License-Identifier: Apache-2.0
using System.Reflection;

namespace PasidFramework.Qemu.Tests.Support;

/// <summary>The QEMUs that <c>eng/install-qemu</c> unpacked, or the one on PATH.</summary>
internal static class Installed
{
    private const string None = "none";
    private static readonly List<string> s_problems = [];
    public static string Home { get; } =
        Environment.GetEnvironmentVariable("PASID_QEMU_HOME") is { Length: > 0 } home ? home
            : typeof(Installed).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .First(a => a.Key == "QemuHome").Value!;

    public static IReadOnlyList<QemuInstallation> All { get; } = QemuInstallation.Find(Home, s_problems);

    /// <summary>Each installation; one row that is skipped where there is none.</summary>
    public static TheoryData<string> Names => [.. All.Select(q => q.Name).DefaultIfEmpty(None)];

    /// <summary>Each installation with each IOMMU whose driver has PASIDs.</summary>
    public static TheoryData<string, string> WithPasids
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string name in All.Select(q => q.Name).DefaultIfEmpty(None))
            {
                data.Add(name, "intel-vtd");
                data.Add(name, "arm-smmuv3");
            }

            return data;
        }
    }

    /// <summary>The one of that name; skips the test, loudly, where there is none at all.</summary>
    public static QemuInstallation Get(string name)
    {
        Assert.False(
            name == None && Environment.GetEnvironmentVariable("PASID_REQUIRE_QEMU") == "1",
            $"PASID_REQUIRE_QEMU is 1, and there is no QEMU in {Home}");
        Assert.SkipWhen(
            name == None,
            $"no QEMU: run eng/install-qemu, or put one on PATH "
                + $"({string.Join("; ", s_problems.DefaultIfEmpty($"{Home} is empty"))})");
        return All.First(q => q.Name == name);
    }

    /// <summary>A back end of it.</summary>
    public static IHardwareBackEnd BackEnd(string name, string architecture) =>
        QemuBackEnds.For(Get(name)).Single(b => b.Architecture == architecture);

    /// <summary>A machine of it.</summary>
    public static ITestHardware Start(string name, string architecture, HardwareSetup? setup = null)
    {
        OpResult<ITestHardware> hardware = BackEnd(name, architecture).Start(setup ?? new HardwareSetup());
        Assert.True(hardware.IsOk, hardware.ToString());
        return hardware.Value;
    }
}
