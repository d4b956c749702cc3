// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace PasidFramework.Qemu.Machine;

/// <summary>
/// One QEMU on this computer: unpacked into a folder by <c>eng/install-qemu</c> (run through the folder's own dynamic
/// loader), or on PATH.
/// </summary>
public sealed partial class QemuInstallation
{
    /// <summary>Oldest version whose IOMMU models are known, 10.0: older ones are not offered. They have no first-stage
    /// translation of VT-d.</summary>
    public static readonly Version OldestKnown = new(10, 0);

    /// <summary>How long <c>--version</c> may take by default.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    // Folders with libraries; searched for once.
    private string? _search;

    private QemuInstallation(string name, string? folder, Version version)
    {
        Name = name;
        Folder = folder;
        Version = version;
    }

    /// <summary>What to call it in messages: the suite's name, or <c>PATH</c>.</summary>
    public string Name { get; }

    /// <summary>The folder it was unpacked into; null for one on PATH.</summary>
    public string? Folder { get; }

    /// <summary>Its version, such as 10.0.13.</summary>
    public Version Version { get; }

    /// <summary>Finds QEMU: unpacked ones first, then PATH.</summary>
    /// <param name="home">Folder that holds unpacked ones, one folder each.</param>
    /// <param name="problems">Gets one line for each that is there and cannot be used.</param>
    public static IReadOnlyList<QemuInstallation> Find(string home, ICollection<string> problems) =>
        Find(home, Environment.GetEnvironmentVariable("PATH") ?? string.Empty, s_patience, problems);

    /// <summary>As <see cref="Find(string, ICollection{string})"/>, with everything that it takes from
    /// outside.</summary>
    /// <param name="path">The search path, folders with colons between them.</param>
    /// <param name="patience">How long a program may take to say its version.</param>
    internal static IReadOnlyList<QemuInstallation> Find(
        string home, string path, TimeSpan patience, ICollection<string> problems)
    {
        ArgumentNullException.ThrowIfNull(home);
        ArgumentNullException.ThrowIfNull(problems);
        var found = new List<QemuInstallation>();
        if (Directory.Exists(home))
        {
            foreach (string folder in Directory.GetDirectories(home).Order(StringComparer.Ordinal))
            {
                // The installer writes this file last of all.
                if (File.Exists(Path.Combine(folder, "complete")))
                {
                    Add(Path.GetFileName(folder), folder);
                }
                else if (!Path.GetFileName(folder).StartsWith('.'))
                {
                    problems.Add($"{folder} is not a complete installation: run eng/install-qemu");
                }
            }
        }

        if (path.Split(':').Any(folder => File.Exists(Path.Combine(folder, Program(QemuTarget.X86)))))
        {
            Add("PATH", null);
        }

        return found;

        void Add(string name, string? folder)
        {
            try
            {
                var candidate = new QemuInstallation(name, folder, OldestKnown);
                Version version = ReadVersion(candidate, patience);
                if (version < OldestKnown)
                {
                    problems.Add(
                        $"QEMU {version} ({name}) is older than {OldestKnown}, the oldest whose IOMMU models are "
                            + $"known");
                    return;
                }

                found.Add(new QemuInstallation(name, folder, version));
            }
            catch (QemuException e)
            {
                problems.Add(e.Message);
            }
        }
    }

    /// <summary>What to start, with the arguments that come first.</summary>
    internal ProcessStartInfo StartInfo(QemuTarget target)
    {
        var info = new ProcessStartInfo
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
        };

        // Whatever ends this process, even a kill, must end QEMU as well.
        const string WithParent = "/usr/bin/setpriv";
        if (File.Exists(WithParent))
        {
            info.FileName = WithParent;
            info.ArgumentList.Add("--pdeathsig");
            info.ArgumentList.Add("KILL");
        }

        void Next(string word)
        {
            if (info.FileName.Length == 0)
            {
                info.FileName = word;
            }
            else
            {
                info.ArgumentList.Add(word);
            }
        }

        if (Folder is null)
        {
            Next(Program(target));
            return info;
        }

        // Not the machine's loader and libraries: those of the same suite.
        string libraries = Path.Combine(Folder, "usr/lib/x86_64-linux-gnu");
        _search ??= string.Join(':', Directory
            .EnumerateFiles(libraries, "*.so*", SearchOption.AllDirectories)
            .Select(f => Path.GetDirectoryName(f)!)
            .Append(libraries)
            .Distinct()
            .Order(StringComparer.Ordinal));
        Next(Path.Combine(libraries, "ld-linux-x86-64.so.2"));
        Next("--library-path");
        Next(_search);
        Next(Path.Combine(Folder, "usr/bin", Program(target)));
        foreach (string data in (string[])["qemu", "seabios"])
        {
            Next("-L");
            Next(Path.Combine(Folder, "usr/share", data));
        }

        info.Environment["QEMU_MODULE_DIR"] = Path.Combine(libraries, "qemu");
        return info;
    }

    public override string ToString() => $"QEMU {Version} ({Name})";

    private static string Program(QemuTarget target) => target switch
    {
        QemuTarget.X86 => "qemu-system-x86_64",
        QemuTarget.Arm => "qemu-system-aarch64",
        _ => throw new ArgumentOutOfRangeException(nameof(target), target, null),
    };

    private static Version ReadVersion(QemuInstallation candidate, TimeSpan patience)
    {
        try
        {
            ProcessStartInfo info = candidate.StartInfo(QemuTarget.X86);
            info.ArgumentList.Add("--version");
            using Process process = QemuStarter.Start(info)
                ?? throw new QemuException($"QEMU ({candidate.Name}) does not start");
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();

            // The pipes as well: a child of its own may hold them.
            if (!Task.WaitAll([output, error], patience) || !process.WaitForExit(patience))
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit(s_patience);
                throw new QemuException(Text(
                    $"QEMU ({candidate.Name}) does not answer --version within {patience.TotalSeconds} s"));
            }

            string text = output.GetAwaiter().GetResult();
            Match match = VersionText().Match(text);
            return match.Success && Version.TryParse(match.Groups[1].Value, out Version? version)
                ? version
                : throw new QemuException($"QEMU ({candidate.Name}) does not say its version: "
                    + (text + error.GetAwaiter().GetResult()).Split('\n', 2)[0]);
        }
        catch (Exception e) when (
            e is System.ComponentModel.Win32Exception or IOException or DirectoryNotFoundException)
        {
            throw new QemuException($"QEMU ({candidate.Name}) does not start: {e.Message}", e);
        }
    }

    [GeneratedRegex(@"^QEMU emulator version (\d+\.\d+(\.\d+)?)", RegexOptions.CultureInvariant)]
    private static partial Regex VersionText();
}
