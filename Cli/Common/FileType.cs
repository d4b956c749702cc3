// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace PasidFramework.Cli.Common;

/// <summary>Distinguishes pipes and devices from regular files, which the framework's own classes do not.</summary>
internal static class FileType
{
    // statx(2): size of the structure, position of stx_mode in it, the mask that asks for the type.
    private const int StatxBytes = 256;
    private const int ModeOffset = 28;
    private const uint MaskType = 1;
    private const int WorkingDirectory = -100;
    private const int TypeBits = 0xF000;
    private const int Regular = 0x8000;

    /// <summary>Whether the path leads to something that is there and no regular file.</summary>
    public static bool IsSpecial(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        byte[] status = new byte[StatxBytes];
        try
        {
            return Statx(WorkingDirectory, Encoding.UTF8.GetBytes(path + '\0'), 0, MaskType, status) == 0
                && (BinaryPrimitives.ReadUInt16LittleEndian(status.AsSpan(ModeOffset)) & TypeBits) != Regular;
        }
        catch (EntryPointNotFoundException)
        {
            // A C library without statx: treat everything as a file.
            return false;
        }
    }

    [DllImport("libc", EntryPoint = "statx")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Statx(int directory, byte[] path, int flags, uint mask, byte[] status);
}
