// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace PasidFramework.Hosting.Processes;

/// <summary>The running kernel, by system calls and <c>/proc</c>.</summary>
internal sealed class LinuxKernel : ILinuxKernel
{
    public SafeFileHandle? OpenProcess(int pid, out int errno) => LibC.PidfdOpen(pid, out errno);
    public int CompareMemory(int first, int second) => LibC.KcmpMemory(first, second);

    public int ReadStat(int pid, out ProcessStat stat)
    {
        stat = default;
        int errno = ReadFile(pid, "stat", out byte[] content);
        if (errno != 0)
        {
            return errno;
        }

        // A process that ends between open and read leaves an empty file.
        return ProcessStat.TryParse(content, out stat) ? 0 : LibC.ESRCH;
    }

    public int ThreadGroupOf(int thread)
    {
        int errno = ReadFile(thread, "status", out byte[] content);
        if (errno != 0)
        {
            return -errno;
        }

        foreach (string line in System.Text.Encoding.UTF8.GetString(content).Split('\n'))
        {
            if (line.StartsWith("Tgid:", StringComparison.Ordinal)
                && int.TryParse(line.AsSpan(5).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int group))
            {
                return group;
            }
        }

        return -LibC.ESRCH;
    }

    private static int ReadFile(int pid, string name, out byte[] content)
    {
        content = [];
        try
        {
            content = File.ReadAllBytes(Text($"/proc/{pid}/{name}"));
            return 0;
        }
        catch (UnauthorizedAccessException)
        {
            return LibC.EPERM;
        }
        catch (IOException)
        {
            // Not there, or gone while it was being read.
            return LibC.ESRCH;
        }
    }
}
