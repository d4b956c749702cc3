using System.Reflection;

namespace PasidFramework.Qemu.Tests;

/// <summary>The QEMUs that <c>eng/install-qemu</c> unpacked, or the one on PATH.</summary>
internal static class Installed
{
    private static readonly List<string> s_problems = [];

    public static string Home { get; } = typeof(Installed).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .First(a => a.Key == "QemuHome").Value!;

    public static IReadOnlyList<QemuInstallation> All { get; } = QemuInstallation.Find(Home, s_problems);

    public static TheoryData<string> Names
    {
        get
        {
            var data = new TheoryData<string>();
            foreach (string name in All.Select(q => q.Name).DefaultIfEmpty("none"))
            {
                data.Add(name);
            }

            return data;
        }
    }

    /// <summary>The one of that name; skips the test, loudly, where there is none at all.</summary>
    public static QemuInstallation Get(string name)
    {
        Assert.SkipWhen(
            name == "none",
            $"no QEMU: run eng/install-qemu, or put one on PATH ({string.Join("; ", s_problems.DefaultIfEmpty($"{Home} is empty"))})");
        return All.First(q => q.Name == name);
    }
}
